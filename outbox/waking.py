"""Waking a Celery task once for many causes, without ever holding up whoever causes it.

One Redis key per task says that a wake-up is on the queue. Whoever sets it enqueues the task; the
task clears it *before* it reads, so that what is committed later wakes it again. The key has a
short life and Celery beat sweeps: Redis may be lost at any moment, and with it a second, no work.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction

from outbox import celery_messages
from outbox.quick_redis import RestingRedis, client, key, run_script

KEY_LIFE_MS = 1000
# A wake-up that no worker took within this time has been overtaken by beat's sweeps.
MESSAGE_LIFE_S = 5.0

_SCRIPT = """
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then
    redis.call('LPUSH', KEYS[2], ARGV[2])
    return 1
end
return 0
"""


def wake_on_commit(task: str) -> None:
    """Wake a task when the current transaction commits, once however often it is asked for.

    Turned off by the setting {APP}_WAKE_ON_COMMIT of the task's app (`sagas.drive` → SAGAS_...).
    """
    if not _is_on(task):
        return
    if any(getattr(hook[1], "wakes", None) == task for hook in connection.run_on_commit):
        return

    # A closure: Django 5.2 reads __qualname__ of a robust hook that fails, which a partial lacks.
    def wake_task() -> None:
        wake(task)

    wake_task.wakes = task  # type: ignore[attr-defined]
    transaction.on_commit(wake_task, robust=True)


def wake(task: str) -> bool:
    """Put one call of a task on the queue unless one is there already; return whether it was put.

    Takes at most 100 ms and never raises for Redis: a wake-up that is lost is made up by beat.
    """
    message = celery_messages.build(task, expires_s=MESSAGE_LIFE_S)
    keys = [_key(task), celery_messages.queue_name()]
    return bool(_redis.run(lambda: run_script(_SCRIPT, keys=keys, args=[KEY_LIFE_MS, message])))


def clear_wake(task: str) -> None:
    """Let the next cause wake the task again; called by the task before it reads its work."""
    _redis.run(lambda: client().delete(_key(task)))


_redis = RestingRedis("Redis takes no wake-ups (%d lost, beat sweeps)")


def _is_on(task: str) -> bool:
    app = task.partition(".")[0]
    return bool(getattr(settings, f"{app.upper()}_WAKE_ON_COMMIT", True))


def _key(task: str) -> str:
    return key(f"wake:{task}")
