"""The stage's surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from outbox.models import Route
from sagas.models import Participant
from tests.builders import make_participant
from tests.crashes.acts import REPLIES
from tests.crashes.fuse import points_in_the_servers
from tests.crashes.stage import outside_played
from tests.crashes.world import COMMANDS, Reader
from tests.outbox.builders import make_lanes, make_route


@pytest.fixture
def reader(transactional_db: None, settings: Any) -> Iterator[Reader]:
    """Everything that a stage needs; gives the reader of the events."""
    settings.SAGAS_REPLIES_STREAM = REPLIES
    settings.SAGAS_WAKE_ON_COMMIT = settings.OUTBOX_WAKE_ON_COMMIT = False
    make_participant(
        "Far",
        transport=Participant.Transport.HTTP,
        address="http://127.0.0.1:9",
        # Its failures are played over and over; a breaker would remember them.
        breaker_failures=None,
        breaker_ratio=None,
    )
    make_participant("Post", transport=Participant.Transport.MESSAGE)
    make_lanes()
    Route.objects.all().delete()
    make_route("commands", types=["command.*"], target=COMMANDS)
    make_route("events", types=["saga.*", "compensation.*"])
    with connection.cursor() as cursor:
        # It forbids nothing: what is done twice is seen.
        cursor.execute("CREATE TABLE near_effects (business_key text, step text, direction text)")
    reader = Reader()
    try:
        with outside_played(reader), points_in_the_servers():
            yield reader
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE near_effects")
