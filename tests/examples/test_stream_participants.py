"""The restaurant order end to end: outbox, relay, streams, participants, replies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from examples.stream_participants import COMMANDS, STATES, Services
from outbox.relay import drain
from sagas.catalogue import store_definition
from sagas.definitions import read_yaml
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.reply_consumer import ReplyConsumer
from tests.builders import journal_of, make_saga
from tests.outbox.builders import make_lanes
from tests.outbox.fixtures import forget_processes_memory
from tests.sagas.messages import commands_of, reach_by_messages

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("OrderService", "ConsumerService", "KitchenService", "AccountingService")
ORDER = {"orderId": "R-1", "consumerId": "c-7", "items": ["bibimbap"], "total": 21.5}


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    server = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    forget_processes_memory()
    mine = (*server.keys("restaurant:*"), settings.SAGAS_REPLIES_STREAM)
    server.delete(*mine)
    yield server
    forget_processes_memory()


@pytest.fixture
def begin(server: redis.Redis) -> Callable[..., Saga]:
    make_lanes()
    reach_by_messages(*NAMES, target=COMMANDS)
    text = (ROOT / "examples/definitions/restaurant-order.yaml").read_text()
    definition = read_yaml(text, filename="restaurant-order.yaml")
    store_definition(definition)
    return lambda **overrides: make_saga(definition, input=ORDER | overrides)


def settle(driver: Driver, *work: Callable[[], Any]) -> None:
    """Let everybody work in turns until nothing happens any more."""
    consumer = ReplyConsumer()
    while True:
        driver.drive()
        moved = drain()
        for each in work:
            each()
        if not consumer.drain(budget_s=5) and not moved:
            return


def states(server: redis.Redis, saga: Saga) -> dict[str, str | None]:
    return {thing: server.hget(STATES, f"{thing}:{saga.pk}") for thing in ("order", "ticket")}


def test_an_order_is_approved_by_asynchronous_participants(
    driver: Driver, server: redis.Redis, begin: Callable[..., Saga]
) -> None:
    saga = begin()

    settle(driver, Services(server).work)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert states(server, saga) == {"order": "APPROVED", "ticket": "APPROVED"}
    assert [command.payload["action"] for command in commands_of(saga)] == [
        "createOrder",
        "verifyConsumer",
        "createTicket",
        "authoriseCard",
        "approveTicket",
        "approveOrder",
    ]


@pytest.mark.parametrize(
    ("change", "cause", "after"),
    [
        ({"total": 900}, "CardDeclined", {"order": "REJECTED", "ticket": "REJECTED"}),
        ({"items": []}, "NothingToCook", {"order": "REJECTED", "ticket": None}),
        ({"consumerId": "blocked-1"}, "ConsumerBlocked", {"order": "REJECTED", "ticket": None}),
    ],
)
def test_a_refused_order_is_rejected_everywhere(
    driver: Driver,
    server: redis.Redis,
    begin: Callable[..., Saga],
    change: dict[str, Any],
    cause: str,
    after: dict[str, Any],
) -> None:
    saga = begin(**change)

    settle(driver, Services(server).work)

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert saga.state["cause"]["class"] == cause
    assert states(server, saga) == after


def test_commands_that_arrive_twice_change_nothing(
    driver: Driver, server: redis.Redis, begin: Callable[..., Saga]
) -> None:
    """Edge cases 7 and 8."""
    saga = begin()
    services, repeated = Services(server), set()

    def deliver_twice() -> None:
        for _, fields in server.xrange(COMMANDS):
            if fields["id"] not in repeated:
                repeated.add(fields["id"])
                server.xadd(COMMANDS, fields)
        services.work()

    settle(driver, deliver_twice)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert journal_of(saga).count("step_succeeded createOrder") == 1


class Orders:
    """Sends commands of one saga to the services, as its messages would come."""

    def __init__(self, server: redis.Redis) -> None:
        self.server, self.services = server, Services(server)

    def send(self, action: str, key: str, *, undoes: str = "") -> str:
        """Return how a command is answered: succeeded, or the code of the refusal."""
        headers = {"idempotencykey": f"s/{key}", "correlationid": f"s/{key}", "attempt": 1}
        headers |= {"replyto": settings.SAGAS_REPLIES_STREAM}
        headers |= {"undoes": f"s/{undoes}"} if undoes else {}
        direction = "backward" if undoes else "forward"
        command = {"saga_id": "s", "action": action, "direction": direction, "input": ORDER}
        self.server.xadd(COMMANDS, {"headers": json.dumps(headers), "data": json.dumps(command)})
        self.services.work()
        [(_, fields)] = self.server.xrevrange(settings.SAGAS_REPLIES_STREAM, count=1)
        reply = json.loads(fields["data"])
        return str(reply["error"]["code"] if "error" in reply else reply["outcome"])


def test_what_was_rejected_is_done_when_it_is_ordered_anew(server: redis.Redis) -> None:
    """Edge case 6: as a saga does that is rewound."""
    orders = Orders(server)
    orders.send("createOrder", "createOrder/do")
    orders.send("rejectOrder", "createOrder/undo", undoes="createOrder/do")

    assert orders.send("approveOrder", "approveOrder/do") == "Rejected"
    assert orders.send("createOrder", "createOrder/do/2") == "succeeded"
    assert orders.send("approveOrder", "approveOrder/do/2") == "succeeded"
    assert server.hget(STATES, "order:s") == "APPROVED"


def test_a_command_that_its_undo_has_overtaken_is_refused(server: redis.Redis) -> None:
    """Edge cases 5 and 6."""
    orders = Orders(server)

    assert (
        orders.send("rejectTicket", "createTicket/undo", undoes="createTicket/do/2") == "succeeded"
    )

    assert orders.send("createTicket", "createTicket/do/2") == "Rejected"
    assert orders.send("createTicket", "createTicket/do/3") == "succeeded"
    assert orders.send("createTicket", "createTicket/do") == "Rejected"
    assert server.hget(STATES, "ticket:s") == "CREATE_PENDING"


def test_participants_in_a_process_of_their_own_answer(
    driver: Driver, server: redis.Redis, begin: Callable[..., Saga]
) -> None:
    saga = begin()
    command = [sys.executable, "-m", "examples.stream_participants"]
    environment = {**os.environ, "REDIS_URL": settings.REDIS_URL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        for _ in range(12):
            driver.drive()
            drain()
            # Blocks until a reply is there.
            replies = settings.SAGAS_REPLIES_STREAM
            server.xread({replies: "0"}, count=1, block=5_000)
            ReplyConsumer().drain(budget_s=5)
            saga.refresh_from_db()
            if saga.status != "running":
                break
    finally:
        process.terminate()
        code = process.wait(10)

    assert saga.status == "completed"
    assert code == 0
