from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DlqConfig(AppConfig):
    name = "dlq"
    verbose_name = _("Dead letters")

    def ready(self) -> None:
        from dlq.keeping import OutboxKeeper
        from dlq.sentences import FAILURES
        from outbox.dying import set_keeper
        from outbox.sentences import Sentences, register_sentences

        set_keeper(OutboxKeeper())
        register_sentences(Sentences(FAILURES))
