"""The settings of the service."""

import os

SECRET_KEY = "an example keeps no secrets"  # noqa: S105
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "examples.django_service.urls"
INSTALLED_APPS = ["sagas.barrier", "examples.django_service"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("STOCK_DATABASE", "stock.sqlite3"),
        # One writer at a time, and the others wait; PostgreSQL needs neither.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
# No attempt of a call comes later than this; the barrier remembers calls for longer.
SAGAS_BARRIER_LONGEST_RETRY_DAYS = 30
SAGAS_BARRIER_KEEP_DAYS = 60
