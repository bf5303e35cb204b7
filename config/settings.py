"""All settings, from the environment (docs/settings.md lists them); bad values stop the start.

`DATABASE_URL` and `REDIS_URL` name the servers. Without them the embedded servers of
`make run` are meant, whose addresses the launcher leaves in `$SAGADESK_HOME/servers.env`.
"""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
SAGADESK_HOME = Path(os.environ.get("SAGADESK_HOME") or BASE_DIR / ".sagadesk")

env = environ.Env()
environ.Env.read_env(SAGADESK_HOME / "servers.env", overwrite=False)


def switch(name: str, *, default: bool) -> bool:
    """Read a yes or no and refuse anything else, by name."""
    text = os.environ.get(name, "").strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if text:
        raise ImproperlyConfigured(f"{name} is {text!r}; write 1 or 0.")
    return default


def one_of(name: str, values: tuple[str, ...], *, default: str) -> str:
    """Read one of a few words and refuse any other, by name."""
    value = os.environ.get(name) or default
    if value not in values:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(values)}.")
    return value


def server_url(name: str, schemes: tuple[str, ...], *, default: str) -> str:
    """Read the address of a server and refuse one of another kind."""
    url = str(env.str(name, default=default) or default)
    if url.partition("://")[0] not in schemes:
        raise ImproperlyConfigured(f"{name} must begin with one of {', '.join(schemes)}://")
    return url


def grant(name: str) -> list[str]:
    """Read who may use a secret: participants and addresses; refuse an address of another kind."""
    entries = [entry.strip() for entry in os.environ[name].split(",") if entry.strip()]
    for entry in entries:
        scheme, found, place = entry.partition("://")
        if found and (scheme not in ("http", "https") or not place):
            raise ImproperlyConfigured(f"{name} has {entry!r}; write http://… or https://…")
    return entries


DEBUG = switch("SAGADESK_DEBUG", default=False)


def read_secret_key() -> str:
    """Return the key of this installation; without SECRET_KEY one is made and kept at home."""
    if key := env.str("SAGADESK_SECRET_KEY", default=""):
        return str(key)
    file = SAGADESK_HOME / "secret_key"
    if not file.exists():
        from django.core.management.utils import get_random_secret_key

        SAGADESK_HOME.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
                out.write(get_random_secret_key())
        except FileExistsError:
            pass  # another process of the same start was first
    return file.read_text()


def at_least(name: str, *, default: float, minimum: float) -> float:
    """Read a number and refuse one below its minimum, by name."""
    text = os.environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be a number.") from None
    if not minimum <= value < float("inf"):
        raise ImproperlyConfigured(f"{name} is {value:g}; it must be at least {minimum:g}.")
    return value


SECRET_KEY = read_secret_key()
ALLOWED_HOSTS = env.list("SAGADESK_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("SAGADESK_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "config.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "outbox",
    "dlq",
    "sagas",
    "sagas.barrier",
    "config",
]

MIDDLEWARE = [
    # Probes may come without a Host header that we know; first, so that they never fail on it.
    "config.api.health.answer_probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": env.db_url_config(
        server_url(
            "DATABASE_URL",
            ("postgres", "postgresql", "psql", "pgsql"),
            default=f"postgres://sagadesk@/sagadesk?host={SAGADESK_HOME / 'run'}",
        )
    )
}
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = server_url(
    "REDIS_URL",
    ("redis", "rediss", "unix"),
    default=f"unix://{SAGADESK_HOME / 'run' / 'valkey.sock'}",
)
REDIS_PREFIX = "sagadesk:"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = one_of("SAGADESK_LANGUAGE", ("en", "ko"), default="en")
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = SAGADESK_HOME / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = switch("SAGADESK_HTTPS", default=False)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["outbox.api.reading.JsonBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["outbox.api.throttling.PerMinute"],
    # Without a proxy, X-Forwarded-For says what the caller likes.
    "NUM_PROXIES": int(at_least("SAGADESK_PROXIES", default=0, minimum=0)),
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "config.api.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "config.api.envelope_errors",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# Requests a minute, per account and per address of callers without one; 0: no limit.
API_RATE = int(at_least("SAGADESK_API_RATE", default=60_000, minimum=0))
API_ANONYMOUS_RATE = int(at_least("SAGADESK_API_ANONYMOUS_RATE", default=600, minimum=0))
SPECTACULAR_SETTINGS = {
    "TITLE": "Sagadesk API",
    "DESCRIPTION": "Start, follow and repair sagas; watch the outbox; reprocess dead letters.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SagaStatus": "sagas.models.Saga.Status",
        "UpOrDown": [("up", "up"), ("down", "down")],
        "DeliveryStatus": "outbox.models.Delivery.Status",
        "EndStatus": "sagas.models.RetentionRule.Status",
        "RetentionAction": "sagas.models.RetentionRule.Action",
        "LetterStatus": "dlq.models.DeadLetter.Status",
        "StepStatus": "sagas.core.state.StepStatus",
        "Direction": "sagas.core.state.Direction",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Celery: the broker only wakes; the database is the truth, so nothing is acknowledged late
# and no result is kept.
# Over a socket kombu takes the database's number from another parameter than redis-py.
CELERY_BROKER_URL = REDIS_URL
if REDIS_URL.startswith("unix://"):
    CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace(
        "?db=", "?virtual_host="
    )
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    "health_check_interval": 10,
    "unacked_restore_interval": 2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "sagadesk"
CELERY_TASK_SOFT_TIME_LIMIT = 120
CELERY_TASK_TIME_LIMIT = 180
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# Celery closes the database connection after every task unless this is set.
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_BEAT_SCHEDULE = {
    "sagas: sweep what is due": {
        "task": "sagas.drive",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
    "sagas: take replies from the stream": {
        "task": "sagas.take_replies",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
    "outbox: sweep the lanes": {
        "task": "outbox.relay",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
    "outbox: drop what was published long ago": {
        "task": "outbox.purge",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "dead letters: drop what was settled long ago": {
        "task": "dlq.purge",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "sagas: archive or drop what ended long ago": {
        "task": "sagas.retain",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "barrier: drop calls that nobody can repeat": {
        "task": "sagas_barrier.purge",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "console: show that beat and workers live": {
        "task": "config.heartbeat",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
}

# Engine (sagas). Durations in seconds, sizes in bytes.
SAGAS_WAKE_ON_COMMIT = switch("SAGADESK_WAKE_ON_COMMIT", default=True)
SAGAS_BATCH_SIZE = int(at_least("SAGADESK_BATCH_SIZE", default=200, minimum=1))
SAGAS_LEASE_SECONDS = at_least("SAGADESK_LEASE_SECONDS", default=30, minimum=1)
SAGAS_HTTP_CONCURRENCY = int(at_least("SAGADESK_HTTP_CONCURRENCY", default=32, minimum=1))
SAGAS_MAX_INPUT_BYTES = int(at_least("SAGADESK_MAX_INPUT_BYTES", default=262_144, minimum=1_024))
SAGAS_MAX_OUTPUT_BYTES = int(at_least("SAGADESK_MAX_OUTPUT_BYTES", default=65_536, minimum=1_024))
# Outgoing participant addresses must begin with one of these.
SAGAS_ALLOWED_ADDRESSES = env.list(
    "SAGADESK_ALLOWED_ADDRESSES", default=["http://127.0.0.1", "http://localhost"]
)
# What a participant's description may name; not SAGADESK_SECRET_, where our own key is.
SAGAS_SECRET_PREFIX = "SAGADESK_PARTICIPANT_SECRET_"  # noqa: S105
SAGAS_SECRETS = {
    name: value for name, value in os.environ.items() if name.startswith(SAGAS_SECRET_PREFIX)
}
# By what comes after the prefix: the participants that may use a secret, and where it may go.
SAGAS_SECRET_GRANT_PREFIX = "SAGADESK_SECRET_FOR_"  # noqa: S105
SAGAS_SECRET_GRANTS = {
    name.removeprefix(SAGAS_SECRET_GRANT_PREFIX): grant(name)
    for name in os.environ
    if name.startswith(SAGAS_SECRET_GRANT_PREFIX)
}
# Where participants reach this console; without it no call carries an address for its reply.
SAGAS_PUBLIC_URL = os.environ.get("SAGADESK_PUBLIC_URL", "").rstrip("/")
if SAGAS_PUBLIC_URL:
    server_url("SAGADESK_PUBLIC_URL", ("http", "https"), default="")
# The stream on which participants may reply; empty: only over HTTP.
SAGAS_REPLIES_STREAM = env.str("SAGADESK_REPLIES_STREAM", default="sagadesk:replies")
# Python modules that register local participants and saga classes.
SAGAS_MODULES = env.list("SAGADESK_MODULES", default=[])

# Retention of sagas, where no rule of an operator says otherwise.
SAGAS_KEEP_ENDED_DAYS = int(at_least("SAGADESK_KEEP_SAGAS_DAYS", default=90, minimum=1))
SAGAS_ENDED_ACTION = one_of("SAGADESK_ENDED_SAGAS", ("archive", "drop"), default="archive")
SAGAS_KEEP_ARCHIVED_DAYS = int(at_least("SAGADESK_KEEP_ARCHIVED_DAYS", default=3650, minimum=1))
# Idempotency keys of starts whose saga is gone, and request ids of verbs.
SAGAS_KEEP_KEYS_DAYS = int(at_least("SAGADESK_KEEP_KEYS_DAYS", default=365, minimum=1))

# The barrier, for local callables that use it; a call is remembered for as long as it may be
# repeated, or longer.
SAGAS_BARRIER_KEEP_DAYS = at_least("SAGADESK_BARRIER_KEEP_DAYS", default=90, minimum=1)
SAGAS_BARRIER_LONGEST_RETRY_DAYS = at_least("SAGADESK_LONGEST_RETRY_DAYS", default=30, minimum=1)

# Outbox.
OUTBOX_WAKE_ON_COMMIT = switch("SAGADESK_OUTBOX_WAKE_ON_COMMIT", default=SAGAS_WAKE_ON_COMMIT)
OUTBOX_BATCH_SIZE = int(at_least("SAGADESK_OUTBOX_BATCH_SIZE", default=500, minimum=1))
OUTBOX_LANE_LEASE_SECONDS = at_least("SAGADESK_LANE_LEASE_SECONDS", default=15, minimum=1)
OUTBOX_MAX_ATTEMPTS = int(at_least("SAGADESK_OUTBOX_MAX_ATTEMPTS", default=8, minimum=1))
OUTBOX_KEEP_PUBLISHED_DAYS = at_least("SAGADESK_KEEP_PUBLISHED_DAYS", default=7, minimum=1)
OUTBOX_MAX_PAYLOAD_BYTES = SAGAS_MAX_INPUT_BYTES
# The CloudEvents attribute that says which installation a message comes from.
OUTBOX_SOURCE = env.str("SAGADESK_OUTBOX_SOURCE", default="/sagadesk")
# Redis drops the oldest entries of a stream beyond about this many.
OUTBOX_STREAM_MAX_LENGTH = int(
    at_least("SAGADESK_STREAM_MAX_LENGTH", default=1_000_000, minimum=1_000)
)

# Dead letters. Open ones are never dropped.
DLQ_KEEP_SETTLED_DAYS = at_least("SAGADESK_KEEP_LETTERS_DAYS", default=90, minimum=1)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # These write a line per task, several a second.
    "loggers": {
        name: {"level": "WARNING"}
        for name in (
            "celery.app.trace",
            "celery.beat",
            "celery.worker.request",
            "celery.worker.strategy",
        )
    },
    "root": {
        "handlers": ["console"],
        "level": one_of(
            "SAGADESK_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"
        ),
    },
}
