from django.apps import AppConfig


class StockConfig(AppConfig):
    name = "examples.django_service"
    label = "stock"
