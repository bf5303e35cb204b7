"""The participants do each thing once, whatever the engine or the network does."""

import json
import socket
import sqlite3
from contextlib import closing

import pytest

from examples.participants.ledger import Call, Ledger
from examples.participants.services import SERVICES


def test_an_action_leaves_one_effect_and_says_what_it_did(participants):
    reply = participants.call(input={"flight": "KE902", "passengers": 2})

    assert reply.status == 200
    assert reply.body == {
        "flight_reservation": "FL-1",
        "resource": "KE902",
        "quantity": 2,
        "amount": 0.0,
    }
    assert participants.statuses() == ["active"]


def test_an_undo_takes_the_effect_back(participants):
    participants.call()

    assert participants.undo().body == {"undone": 1}
    assert participants.statuses() == ["undone"]


def test_a_repeated_action_gets_the_first_answer_and_has_one_effect(participants):
    """Edge case 7."""
    first = participants.call(input={"passengers": 2})
    again = participants.call(input={"passengers": 2}, attempt=2)

    assert again.body == first.body
    assert participants.statuses() == ["active"]


def test_a_repeated_undo_gets_the_first_answer(participants):
    """Edge case 7."""
    participants.call()
    first = participants.undo()

    assert participants.undo(attempt=2).body == first.body == {"undone": 1}


def test_an_undo_before_its_action_succeeds(participants):
    """Edge case 5."""
    reply = participants.undo()

    assert reply.status == 200
    assert reply.body == {"undone": 0}


@pytest.mark.parametrize("generation", ["", "/2"])
def test_an_action_after_its_undo_is_refused(participants, generation):
    """Edge case 6."""
    participants.undo()
    reply = participants.call(generation=generation)

    assert reply.status == 409
    assert reply.body["error"]["code"] == "already_undone"
    assert participants.statuses() == []


def test_what_was_undone_can_be_ordered_again(participants):
    """As a saga does that is rewound."""
    participants.call()
    participants.undo()

    late = participants.call(attempt=2)
    again = participants.call(attempt=3, generation="/2")

    assert late.body["flight_reservation"] == "FL-1"
    assert again.body["flight_reservation"] == "FL-2"
    assert participants.statuses() == ["undone", "active"]


def test_an_undo_that_names_its_action_lets_the_next_one_through(participants):
    """Edge cases 5 and 6."""
    participants.undo(of="")

    assert participants.call().body["error"]["code"] == "already_undone"
    assert participants.call(generation="/2").status == 200
    assert participants.statuses() == ["active"]


def test_an_undo_takes_back_the_actions_up_to_the_one_it_names(participants):
    """Edge case 6: an undo that is late on the network leaves alone what was done anew."""
    participants.call()
    participants.call(generation="/2")

    assert participants.undo(of="").body == {"undone": 1}
    assert participants.statuses() == ["undone", "active"]
    assert participants.undo(generation="/2", of="/2").body == {"undone": 1}
    assert participants.call(generation="/3").status == 200


def test_an_undo_that_comes_late_shortens_no_tombstone(participants):
    """Edge case 6."""
    participants.undo(generation="/2", of="/3")
    participants.undo(of="")

    assert participants.call(generation="/3").status == 409
    participants.undo(generation="/3")
    assert participants.call(generation="/4").status == 409


def test_a_file_of_an_earlier_release_keeps_its_effects_and_tombstones(tmp_path):
    """Edge case 6: what it refused it goes on refusing."""
    file = tmp_path / "FlightService.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("""
            CREATE TABLE effects (
                id INTEGER PRIMARY KEY, saga_id TEXT NOT NULL, business_key TEXT NOT NULL,
                step TEXT NOT NULL, action TEXT NOT NULL, resource TEXT NOT NULL,
                quantity INTEGER NOT NULL, amount REAL NOT NULL,
                status TEXT NOT NULL DEFAULT 'active', created_at TEXT, undone_at TEXT);
            CREATE TABLE tombstones (
                saga_id TEXT NOT NULL, step TEXT NOT NULL, at TEXT,
                PRIMARY KEY (saga_id, step)) WITHOUT ROWID;
            INSERT INTO effects (saga_id, business_key, step, action, resource, quantity, amount)
                VALUES ('s', 'T-1', 'A', 'reserveFlight', 'KE1', 1, 0);
            INSERT INTO tombstones VALUES ('s', 'B', '2027-03-14');
        """)

    def call(step, *, undoes=""):
        direction, verb = ("backward", "undo") if undoes else ("forward", "do/2")
        return Call(f"s/{step}/{verb}", "s", "T-1", step, "?", direction, 1, {}, undoes)

    with closing(Ledger(file)) as ledger:
        assert ledger.undo(call("A", undoes="s/A/do"), None).body == '{"undone": 1}'
        reserve = next(a for a in SERVICES["FlightService"] if a.name == "reserveFlight")
        assert ledger.act(call("B"), reserve, None).status == 409
        assert ledger.act(call("A"), reserve, None).status == 200


def test_two_sagas_have_effects_of_their_own(participants):
    participants.call(saga_id="saga-1")
    participants.call(saga_id="saga-2")
    participants.undo(saga_id="saga-1")

    assert participants.statuses("saga-1") == ["undone"]
    assert participants.statuses("saga-2") == ["active"]


def test_a_refusal_is_remembered_until_an_operator_tries_anew(participants):
    refused = participants.call(input={"passengers": 12})
    repeated = participants.call(input={"passengers": 2}, attempt=2)
    fresh = participants.call(input={"passengers": 2}, attempt=3, generation="/2")

    assert refused.status == repeated.status == 409
    assert repeated.body == refused.body
    assert fresh.status == 200


def test_a_refused_card_is_a_business_failure(participants):
    reply = participants.call(
        "PaymentService/chargeCard", step="ChargePayment", input={"card": "4000 0000 0000 9995"}
    )

    assert reply.status == 402
    assert reply.body["error"] == {
        "code": "insufficient_funds",
        "message": "The card has insufficient funds.",
    }


def test_a_limited_resource_sells_out_and_is_free_again_after_an_undo(participants):
    order = {"flight": "KE1", "passengers": 3}
    assert participants.call(saga_id="saga-1", input=order).status == 200
    assert participants.call(saga_id="saga-2", input=order).body["error"]["code"] == "sold_out"

    participants.undo(saga_id="saga-1")
    assert participants.call(saga_id="saga-3", input=order).status == 200


def test_what_is_no_call_is_refused_by_name(participants):
    assert participants.request("POST", "/FlightService/reserveFlight", {}).status == 400
    assert participants.request("GET", "/FlightService/reserveFlight").status == 405
    assert participants.request("POST", "/FlightService/chargeCard", {}).status == 404
    bad = participants.request("POST", "/FlightService/reserveFlight", {"saga_id": "s"}, key="k")
    assert bad.body["error"]["message"] == "business_key is missing."
    assert participants.call(input={"passengers": "many"}).status == 422


def test_every_attempt_is_kept(participants, tmp_path):
    participants.call()
    participants.call(attempt=2)
    participants.undo()

    with closing(sqlite3.connect(tmp_path / "FlightService.sqlite3")) as database:
        calls = database.execute("SELECT direction, attempt, outcome FROM calls").fetchall()
    assert calls == [
        ("forward", 1, "done"),
        ("forward", 2, "repeated"),
        ("backward", 1, "undone"),
    ]


def test_effects_can_be_found_by_business_key(participants):
    participants.call(business_key="T-7")

    (effect,) = participants.request("GET", "/_effects?business_key=T-7").body["effects"]
    assert (effect["service"], effect["step"]) == ("FlightService", "ReserveFlight")
    assert participants.request("GET", "/_effects").status == 400


def test_health_names_the_services(participants):
    assert "HotelService" in participants.request("GET", "/_health").body["services"]


def test_requests_sent_at_once_are_answered_in_order(participants):
    data = {"saga_id": "saga-1", "business_key": "T-1", "step": "ReserveFlight"}
    participants.set_faults(rules={"FlightService/reserveFlight": {"delay_ms": 20}})
    body = json.dumps(data).encode()
    requests = b"".join(
        f"POST /FlightService/{action} HTTP/1.1\r\nIdempotency-Key: {action}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for action in ("reserveFlight", "cancelFlightReservation")
    )

    address = ("127.0.0.1", participants.connection.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(requests)
        received = b""
        while b"undone" not in received:
            received += connection.recv(4_096)

    assert received.index(b"FL-1") < received.index(b'"undone": 1')


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
    ],
)
def test_what_is_no_http_is_answered_and_closed(participants, head, status):
    address = ("127.0.0.1", participants.connection.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(4_096).split()[1] == status
        assert connection.recv(1) == b""
