import pytest

from sagas.definitions.scenarios import failing_step, split_entries
from tests.definitions.builders import make_step

TRAVEL = [
    make_step("ReserveFlight", action="reserveFlight", compensation="cancelFlightReservation"),
    make_step("ReserveHotel", action="reserveHotel", compensation="cancelHotelReservation"),
    make_step("ChargePayment", action="chargeCard", compensation="refundPayment"),
]
SHOP = [
    make_step("createOrder", participant="OrderService", compensation="cancelOrder"),
    make_step("reserve_inventory", participant="Stock", compensation="releaseStock"),
    make_step("confirmOrder", participant="OrderService", compensation=None),
]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("FlightReservationFailed", "ReserveFlight"),
        ("HotelReservationFailed", "ReserveHotel"),
        ("PaymentFailed", "ChargePayment"),
        ("payment timed out", "ChargePayment"),
        ("HOTEL_ERROR", "ReserveHotel"),
        ("CardDeclined", "ChargePayment"),
        ("ChargingFailed", "ChargePayment"),
        ("ReservationFailed", None),
        ("FlightAndHotelFailed", None),
        ("Failed", None),
        ("", None),
        ("보험 실패", None),
    ],
)
def test_a_scenario_is_about_the_step_whose_words_it_shares(name, step):
    assert failing_step(name, TRAVEL) == step


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("OutOfStock", "reserve_inventory"),
        ("InventoryReservationFailed", "reserve_inventory"),
        ("OrderConfirmationFailed", "confirmOrder"),
        ("OrderCreationFailed", "createOrder"),
        ("OrderFailed", None),
    ],
)
def test_other_fields_decide_where_names_do_not(name, step):
    assert failing_step(name, SHOP) == step


def test_numbers_must_be_the_same():
    steps = [make_step("Step1"), make_step("Step12")]

    assert failing_step("Step12Failed", steps) == "Step12"


def test_entries_in_brackets_are_notes():
    entries = ["(none, 첫 단계 실패)", "cancelHotel", "cancelFlight (by mail)"]

    assert split_entries(entries) == (
        ("cancelHotel", "cancelFlight"),
        ("(none, 첫 단계 실패)", "cancelFlight (by mail)"),
    )
