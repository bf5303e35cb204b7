"""What the services can do: their actions, what undoes them, and when they refuse.

All of them are lenient about the input, so that any saga's input will do; what is missing has a
default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class RefusedError(Exception):
    """A business failure: trying the same again would not help."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Booking(NamedTuple):
    """What an action takes: so much of a resource, for so much money."""

    resource: str
    quantity: int = 1
    amount: float = 0.0


class Action(NamedTuple):
    """An action; its answer names the new row as `field`: "PREFIX-number"."""

    name: str
    undo: str | None
    field: str
    prefix: str
    book: Callable[[dict[str, Any]], Booking]
    # Why it says no when it is told to: code and message.
    refusal: tuple[str, str]


def book_flight(order: dict[str, Any]) -> Booking:
    seats = int(order.get("passengers", 1))
    if not 1 <= seats <= 9:
        raise RefusedError(
            "too_many_passengers", f"A booking takes 1 to 9 passengers, not {seats}."
        )
    return Booking(str(order.get("flight", "KE902")), seats)


def book_hotel(order: dict[str, Any]) -> Booking:
    nights = int(order.get("nights", 1))
    if not 1 <= nights <= 30:
        raise RefusedError("stay_too_long", f"A stay takes 1 to 30 nights, not {nights}.")
    return Booking(str(order.get("hotel", "Hotel Seorak")), nights)


# The numbers that payment providers publish for trying out refusals.
REFUSED_CARDS = {
    "4000000000000002": ("card_declined", "The card was declined."),
    "4000000000009995": ("insufficient_funds", "The card has insufficient funds."),
    "4000000000000069": ("expired_card", "The card has expired."),
}


def charge_card(order: dict[str, Any]) -> Booking:
    card = str(order.get("card", "4242424242424242")).replace(" ", "")
    amount = amount_of(order)
    if card in REFUSED_CARDS:
        raise RefusedError(*REFUSED_CARDS[card], status=402)
    if amount < 0:
        raise RefusedError("invalid_amount", f"{amount:.2f} cannot be charged.")
    return Booking(f"card …{card[-4:]}", 1, amount)


def place_order(order: dict[str, Any]) -> Booking:
    return Booking("order", 1, amount_of(order))


def confirm_order(order: dict[str, Any]) -> Booking:
    return Booking("confirmation", 1, amount_of(order))


def take_stock(order: dict[str, Any]) -> Booking:
    quantity = int(order.get("quantity", 1))
    if quantity < 1:
        raise RefusedError("invalid_quantity", f"{quantity} pieces cannot be reserved.")
    return Booking(str(order.get("sku", "SKU-1")), quantity)


def schedule_shipping(order: dict[str, Any]) -> Booking:
    if order.get("country") in {"AQ", "BV"}:
        raise RefusedError(*NO_CARRIER)
    return Booking(str(order.get("carrier", "Hanbit Express")))


def amount_of(order: dict[str, Any]) -> float:
    return float(order.get("amount", 0))


NO_SEAT = ("sold_out", "No seat is left on this flight.")
NO_ROOM = ("sold_out", "No room is left in this hotel.")
DECLINED = REFUSED_CARDS["4000000000000002"]
NO_ORDER = ("order_refused", "This customer may not order at present.")
NO_STOCK = ("out_of_stock", "The warehouse has too little of this article.")
NO_CARRIER = ("no_carrier", "No carrier delivers to this address.")

SERVICES: dict[str, list[Action]] = {
    "FlightService": [
        Action(
            name="reserveFlight",
            undo="cancelFlightReservation",
            field="flight_reservation",
            prefix="FL",
            book=book_flight,
            refusal=NO_SEAT,
        )
    ],
    "HotelService": [
        Action(
            name="reserveHotel",
            undo="cancelHotelReservation",
            field="hotel_reservation",
            prefix="HO",
            book=book_hotel,
            refusal=NO_ROOM,
        )
    ],
    "PaymentService": [
        Action("chargeCard", "refundPayment", "charge", "CH", charge_card, DECLINED),
        Action("processPayment", "refundPayment", "payment", "PA", charge_card, DECLINED),
    ],
    "OrderService": [
        Action("createOrder", "cancelOrder", "order", "OR", place_order, NO_ORDER),
        Action("confirmOrder", None, "confirmation", "OK", confirm_order, NO_ORDER),
    ],
    "InventoryService": [
        Action("reserveInventory", "releaseStock", "stock_reservation", "ST", take_stock, NO_STOCK)
    ],
    "ShippingService": [
        Action(
            name="scheduleShipping",
            undo="cancelShipping",
            field="shipment",
            prefix="SH",
            book=schedule_shipping,
            refusal=NO_CARRIER,
        )
    ],
}
