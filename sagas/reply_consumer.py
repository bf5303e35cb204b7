"""Replies that come in on a Redis stream: read by a consumer group, taken one by one, then dropped.

    XADD sagadesk:replies * data '{"message_id": …, "correlation_id": …, "outcome": …}'

An entry is acknowledged and deleted only after what it came to is committed, so it may be taken
twice; the message id makes that harmless. What a consumer that died had read is claimed by another
one. What cannot be read becomes a dead letter and holds up nobody.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from socket import gethostname
from typing import Any

import redis
from django.conf import settings
from django.db import close_old_connections

from dlq.burying import bury_reply
from dlq.models import DeadLetter
from outbox.statements import DATABASE_IS_AWAY
from outbox.transports.redis_client import client
from sagas.replies import take_reply

logger = logging.getLogger(__name__)

GROUP = "sagadesk"
BATCH = 100
# Who holds an entry for longer than this is taken for dead: a batch takes less than a second.
CLAIM_AFTER_S = 30.0
CLAIM_EVERY_S = 10.0
# More than that of an entry is not kept: no reply is that long.
MOST_CHARS = 100_000
# Consumers that have not been heard of for so long are forgotten.
FORGET_AFTER_S = 3_600.0
# While Redis or the database is away.
REST_S = 1.0

Fields = dict[bytes, bytes]


class ReplyConsumer:
    """One of any number of consumers of the stream of replies."""

    def __init__(self, stream: str | None = None) -> None:
        self.stream = stream or settings.SAGAS_REPLIES_STREAM
        self.name = f"{gethostname()}:{os.getpid()}"
        self._claimed_at = float("-inf")

    def drain(self, *, budget_s: float, patience_s: float = 0.0) -> int:
        """Take what is there until nothing is left or the time is up; return how many.

        Waits up to `patience_s` for more once there was something. Raises what Redis and the
        database raise when they are away; what was not taken then is claimed later.
        """
        until, taken = time.monotonic() + budget_s, self._take(self._claim())
        while time.monotonic() < until:
            count = self._take(self._read(patience_s if taken else 0.0))
            taken += count
            if not count:
                break
        return taken

    def run(self, keep_on: Callable[[], bool] = lambda: True, *, wait_s: float = 2.0) -> None:
        """Take replies as they come, for as long as `keep_on` says, whatever is away meanwhile."""
        while keep_on():
            try:
                self._take(self._claim())
                self._take(self._read(wait_s))
            except (redis.RedisError, OSError, *DATABASE_IS_AWAY) as error:
                logger.warning("Replies are not taken, trying again: %s", error)
                close_old_connections()
                time.sleep(REST_S)

    def _read(self, wait_s: float) -> list[tuple[bytes, Fields]]:
        """Return new entries; waits for some, unless `wait_s` is 0."""
        block = max(1, int(wait_s * 1_000)) if wait_s else None
        streams: dict[Any, Any] = {self.stream: ">"}
        answer: Any = self._in_group(
            lambda: client().xreadgroup(GROUP, self.name, streams, count=BATCH, block=block)
        )
        return answer[0][1] if answer else []

    def _claim(self) -> list[tuple[bytes, Fields]]:
        """Take over what others have read and not acknowledged for too long; now and then."""
        if time.monotonic() - self._claimed_at < CLAIM_EVERY_S:
            return []
        self._claimed_at = time.monotonic()
        idle_ms = int(CLAIM_AFTER_S * 1_000)
        answer: Any = self._in_group(
            lambda: client().xautoclaim(self.stream, GROUP, self.name, idle_ms, count=BATCH)
        )
        self._forget_others()
        if len(answer[1]) == BATCH:
            self._claimed_at = float("-inf")
        return [entry for entry in answer[1] if entry[1]]

    def _in_group(self, command: Callable[[], Any]) -> Any:
        """Run a command of the group, which is made when it is not there, be it after a flush."""
        try:
            return command()
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        try:
            # From the beginning: what was sent before anybody listened counts, too.
            client().xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        return command()

    def _forget_others(self) -> None:
        for other in client().xinfo_consumers(self.stream, GROUP):
            if not other["pending"] and other["idle"] > FORGET_AFTER_S * 1_000:
                client().xgroup_delconsumer(self.stream, GROUP, other["name"])

    def _take(self, entries: list[tuple[bytes, Fields]]) -> int:
        """Take entries and drop those that are done with, be it all but the last ones."""
        done: list[bytes] = []
        try:
            for entry_id, fields in entries:
                take_entry(f"{self.stream}/{entry_id.decode()}", fields)
                done.append(entry_id)
        finally:
            if done:
                with client().pipeline() as pipeline:
                    pipeline.xack(self.stream, GROUP, *done)
                    pipeline.xdel(self.stream, *done)
                    pipeline.execute()
        return len(entries)


_own: ReplyConsumer | None = None


def take_replies(*, budget_s: float = 0.8) -> int:
    """Take what is on the stream, in a worker; return how many. Less than beat's second."""
    global _own
    if not settings.SAGAS_REPLIES_STREAM:
        return 0
    if _own is None or _own.stream != settings.SAGAS_REPLIES_STREAM:
        _own = ReplyConsumer()
    return _own.drain(budget_s=budget_s, patience_s=0.1)


def take_entry(name: str, fields: Fields) -> str:
    """Take the reply in an entry's field `data`; return recorded, repeated or buried.

    One without a message_id has the CloudEvents id of its entry, or else the entry's own name.
    """
    try:
        payload = json.loads(fields[b"data"])
    except (KeyError, ValueError, RecursionError) as error:
        return _bury(name, fields, "InvalidReply", f"The field data is no JSON: {error!r}.")
    if isinstance(payload, dict):
        usual = fields.get(b"id", name.encode()).decode(errors="replace")
        payload = {"message_id": usual, **payload}
    try:
        return take_reply(payload, participant=_text(fields.get(b"source", b"")))
    except DATABASE_IS_AWAY:
        raise
    except Exception as error:
        # Broad on purpose: one reply must not hold up the others; its letter can be tried again.
        logger.exception("The reply %s cannot be taken", name)
        return _bury(name, fields, type(error).__name__, str(error))


def _bury(name: str, fields: Fields, error_class: str, message: str) -> str:
    bury_reply(
        participant=_text(fields.get(b"source", b"")) or "unknown",
        message_id=name[-200:],
        payload=_payload(fields),
        headers={},
        reason=DeadLetter.Reason.POISON,
        error_class=error_class,
        error_message=message,
        type="reply",
    )
    return "buried"


def _payload(fields: Fields) -> Any:
    """Return what can be kept of an entry: its JSON, or all its fields as text."""
    try:
        return json.loads(fields[b"data"])
    except (KeyError, ValueError, RecursionError):
        return {_text(field): _text(value)[:MOST_CHARS] for field, value in fields.items()}


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
