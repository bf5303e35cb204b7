from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DlqConfig(AppConfig):
    name = "dlq"
    verbose_name = _("Dead letters")

    def ready(self) -> None:
        from dlq.keeping import OutboxKeeper
        from outbox.dying import set_keeper

        set_keeper(OutboxKeeper())
