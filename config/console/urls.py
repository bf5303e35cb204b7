"""The pages that belong to no single app."""

from django.urls import path

from config.console.audit import audit_list
from config.console.frame import choose_theme

urlpatterns = [
    path("audit/", audit_list, name="audit"),
    path("theme/", choose_theme, name="theme"),
]
