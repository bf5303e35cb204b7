from django.apps import AppConfig


class BarrierConfig(AppConfig):
    name = "sagas.barrier"
    label = "sagas_barrier"
    verbose_name = "Barrier"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from sagas.barrier import checks  # noqa: F401
