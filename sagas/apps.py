from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class SagasConfig(AppConfig):
    name = "sagas"
    verbose_name = _("Sagas")

    def ready(self) -> None:
        import sagas.retention.checks  # noqa: F401
        from dlq.models import DeadLetter
        from dlq.reprocessing import register_handler
        from sagas.console.translating import register_stored
        from sagas.participants.local import register_declared
        from sagas.replies import reprocess_reply

        register_handler(DeadLetter.Source.REPLY, reprocess_reply)
        register_stored()
        # Local participants and saga classes live in modules that the settings name, or in a
        # module of this name in any installed app.
        for module in settings.SAGAS_MODULES:
            import_module(module)
        autodiscover_modules("saga_participants")
        register_declared()
