"""manage.py saga consume-replies: take the replies that participants put on a stream."""

from __future__ import annotations

import signal
import time
from argparse import Namespace
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from sagas.reply_consumer import ReplyConsumer


def add_replies(commands: Any) -> None:
    parser = commands.add_parser(
        "consume-replies",
        help="take replies from the stream as they come; workers look for some every second",
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="how long; default: until SIGTERM"
    )


def consume_replies(given: Namespace) -> None:
    """Consume until the time is up or a signal comes; what was read is finished first."""
    if not settings.SAGAS_REPLIES_STREAM:
        raise CommandError("SAGADESK_REPLIES_STREAM is empty: no replies come by a stream.")
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: stopped.append(got))
    until = time.monotonic() + given.seconds
    ReplyConsumer().run(lambda: not stopped and time.monotonic() < until)
