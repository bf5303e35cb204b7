"""The demo books the same things in every run, and goes on where it stopped."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from examples import bookings
from examples.check_orders import SagaRow
from examples.participants.faults import Faults, Kind
from sagas import catalogue
from sagas.engine.driver import Driver
from sagas.management.commands import check_effects, demo
from sagas.models import Participant, Saga

TRIP_FILE = demo.EXAMPLES / "definitions" / demo.TRIPS.file
SERVICES = ["FlightService", "HotelService", "PaymentService"]


@pytest.fixture(autouse=True)
def _fresh_catalogue():
    catalogue.forget_compiled()


def make_customers(*, first=3, total=10):
    name = demo.load(TRIP_FILE).name
    return demo.Customers(demo.TRIPS, name, demo.Pace(first, every_s=60, total=total))


def keys():
    return list(Saga.objects.order_by("business_key").values_list("business_key", flat=True))


def run_bookings(participants, count):
    """Book with participants that run, and drive every saga to its end."""
    demo.register(SERVICES, participants.address)
    make_customers(first=count).book()
    driver = Driver()
    while Saga.objects.moving().exists():
        driver.drive(budget_s=5)
    driver.close()


def check(data, **options):
    out = StringIO()
    call_command("check_effects", data=data, stdout=out, **options)
    return out.getvalue()


def test_every_number_always_books_the_same():
    assert bookings.trip(7) == bookings.trip(7) != bookings.trip(8)
    assert bookings.order(7) == bookings.order(7) != bookings.order(8)


def test_some_of_the_first_bookings_fail_in_each_way():
    faults = Faults(json.loads((demo.EXAMPLES / "demo-faults.json").read_text()))

    def first_kinds(service, action):
        rule = faults.rule(service, action)
        booked = [demo.key_of("TRIP", number) for number in range(1, 61)]
        return {faults.choose(rule, (key, action), 1, "1") for key in booked}

    assert Kind.BUSINESS in first_kinds("HotelService", "reserveHotel")
    assert Kind.UNAVAILABLE in first_kinds("HotelService", "reserveHotel")
    assert Kind.BROKEN in first_kinds("HotelService", "cancelHotelReservation")
    assert Kind.BROKEN in first_kinds("FlightService", "cancelFlightReservation")
    assert any(bookings.trip(number)["card"] == bookings.POOR_CARD for number in range(1, 61))


def test_customers_slow_down_and_stop():
    pace = demo.Pace(first=3, every_s=2.5, total=10)

    assert pace.pause_s(3) == pace.pause_s(9) == 2.5
    assert pace.pause_s(10) == pace.pause_s(19) == demo.SLOW_SECONDS
    assert pace.pause_s(20) is None


@pytest.mark.django_db
def test_the_first_bookings_come_at_once_and_the_next_one_later():
    customers = make_customers(first=3)
    customers.book()
    customers.book()

    assert keys() == ["TRIP-00001", "TRIP-00002", "TRIP-00003"]


@pytest.mark.django_db
def test_a_demo_that_starts_again_goes_on_with_the_next_booking():
    make_customers(first=3).book()
    make_customers(first=3).book()

    assert keys()[-1] == "TRIP-00004"


@pytest.mark.django_db
def test_nothing_is_booked_after_the_last():
    make_customers(first=4, total=2).book()
    customers = make_customers(first=4, total=2)
    customers.book()

    assert len(keys()) == 4
    assert customers.next_at is None


@pytest.mark.django_db
def test_other_keys_do_not_count():
    make_customers(first=1).book()
    Saga.objects.update(business_key="TRIP-7-of-9")

    assert demo.next_number("TRIP") == 1


@pytest.mark.django_db
def test_who_is_paused_stays_so_when_the_demo_starts_again():
    demo.register(["FlightService"], "http://127.0.0.1:1")
    Participant.objects.update(paused_at=Now())
    demo.register(["FlightService"], "http://127.0.0.1:2")

    row = Participant.objects.get()
    assert row.paused_at is not None
    assert row.address == "http://127.0.0.1:2/FlightService"


def test_a_second_demo_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DATA", tmp_path)

    with demo.only_demo(), pytest.raises(CommandError, match="runs here already"):
        demo.only_demo().__enter__()
    with demo.only_demo():
        pass


def test_the_participants_end_with_the_demo(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DATA", tmp_path)

    with demo.participants(["FlightService"], 0) as (process, address):
        assert demo.ask_faults(address, "GET")["seed"] == "winter"
        assert process.poll() is None
    assert process.returncode == 0


@pytest.mark.django_db
def test_mending_ends_what_is_broken_and_nothing_else(participants):
    demo.register(SERVICES, participants.address)
    rules = {"HotelService/*": {"broken": 0.5, "lost": 0.1}, "FlightService/*": {"lost": 0.1}}
    participants.set_faults(rules=rules)

    assert demo.mend() == 1
    assert participants.request("GET", "/_faults").body["rules"] == {
        "HotelService/*": {"lost": 0.1},
        "FlightService/*": {"lost": 0.1},
    }


@pytest.mark.django_db
def test_mending_says_when_nobody_answers():
    demo.register(["FlightService"], "http://127.0.0.1:1")

    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1 does not answer"):
        demo.mend()


@pytest.mark.django_db(transaction=True)
def test_bookings_end_wholly_done_or_wholly_undone(participants, tmp_path):
    refused = {"business_key": "TRIP-00002", "action": "reserveHotel", "fail": "business"}
    lost = {"business_key": "TRIP-00003", "action": "reserveFlight", "fail": "lost"}
    participants.set_faults(scripted=[refused, lost])
    # The retry after the lost answer waits for a second at most.
    run_bookings(participants, 3)

    assert dict(Saga.objects.values_list("business_key", "status")) == {
        "TRIP-00001": "completed",
        "TRIP-00002": "compensated",
        "TRIP-00003": "completed",
    }
    assert "completed" in check(tmp_path, definition="TravelBookingSaga")


@pytest.mark.django_db(transaction=True)
def test_the_proof_fails_when_an_effect_is_missing_or_nobodys(participants, tmp_path):
    run_bookings(participants, 1)
    participants.call(saga_id="not-a-saga")
    (saga,) = Saga.objects.all()
    participants.undo(saga_id=str(saga.pk))

    with pytest.raises(CommandError, match="2 violations"):
        check(tmp_path)


@pytest.mark.django_db
def test_the_proof_waits_for_nobody(participants, tmp_path):
    make_customers(first=1).book()

    with pytest.raises(CommandError, match="1 sagas are not at an end yet"):
        check(tmp_path)
    assert "is still running" in check(tmp_path, allow_moving=True)


@pytest.mark.django_db
def test_the_proof_can_leave_out_its_lists(participants, tmp_path):
    make_customers(first=1).book()

    said = check(tmp_path, allow_moving=True, show=0)

    assert "Effects that stand" in said
    assert "Business key" not in said
    assert "Business key" in check(tmp_path, allow_moving=True, show=1)


@pytest.mark.django_db
def test_steps_of_participants_without_tables_here_are_left_out(participants, tmp_path):
    make_customers(first=1).book()
    (tmp_path / "HotelService.sqlite3").unlink()

    (row,) = check_effects.read_sagas(tmp_path, None)
    assert isinstance(row, SagaRow)
    assert [step.name for step in row.steps] == ["ReserveFlight", "ChargePayment"]


@pytest.mark.django_db
def test_the_proof_needs_tables_and_a_definition(tmp_path, participants):
    with pytest.raises(CommandError, match="holds no tables"):
        check(tmp_path / "empty")
    with pytest.raises(CommandError, match="There is no definition Nothing"):
        check(tmp_path, definition="Nothing")
