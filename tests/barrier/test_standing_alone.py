"""The barrier in a service that has nothing else of this project."""

from __future__ import annotations

import subprocess
import sys

SERVICE = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["sagas.barrier"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from sagas.barrier import barrier, views
from sagas.barrier.exceptions import BusinessFailure

call_command("check")
call_command("migrate", verbosity=0)
with barrier.once("s/A/undo") as call:
    assert call.is_settled
try:
    with barrier.once("s/A/do"):
        raise AssertionError("It was undone before.")
except BusinessFailure as refusal:
    print(refusal.code)
for _ in range(2):
    with barrier.once("s/B/do") as call:
        if not call.is_settled:
            call.answer = {"price": 3}
print(call.answer)
call_command("purge_barrier")
others = {name.split(".")[0] for name in sys.modules} & {"config", "outbox", "dlq", "celery"}
engine = {name for name in sys.modules if name.startswith("sagas.")
          and not name.startswith("sagas.barrier")}
print(sorted(others | engine))
"""


def test_the_barrier_runs_in_a_service_without_the_engine() -> None:
    """Edge cases 5, 6 and 7, on another database than PostgreSQL."""
    done = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, text=True)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "System check identified no issues (0 silenced).",
        "undone_before",
        "{'price': 3}",
        "0 calls forgotten.",
        "[]",
    ]
