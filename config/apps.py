from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class ProjectConfig(AppConfig):
    """The project itself, for its management commands, tasks and templates."""

    default = True
    name = "config"
    verbose_name = _("Console")

    def ready(self) -> None:
        # Makes the application the one that shared tasks belong to. Not in config/__init__: the
        # launcher lives in this package too and has no use for Celery's 20 MB.
        import config.celery  # noqa: F401


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin, with the console as its site."""

    default = False
    default_site = "config.site.ConsoleSite"
