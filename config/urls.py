"""Where everything is: the console at /, the API at /api/v1/."""

from django.contrib import admin
from django.urls import include, path

handler403 = "config.console.frame.forbidden"
handler404 = "config.console.frame.not_found"

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("config.api.urls")),
    path("", admin.site.urls),
]
