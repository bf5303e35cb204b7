"""Payment, inventory, shipping: a saga as a Python class, with its participants in this file.

Add `examples.payment_inventory_shipping` to SAGADESK_MODULES to run it. Input:

    {"order": "A-1042", "amount": 12900, "items": [{"sku": "mug", "quantity": 2}],
     "address": "12 Harbour Road"}
"""

from typing import Any

from sagas.definitions import Saga, exponential_backoff, scenario, step
from sagas.participants.calls import BusinessFailure, Call

# Beyond this the imagined bank refuses, and below one there is nothing to pay.
LARGEST_AMOUNT = 1_000_000


def charge_payment(call: Call) -> dict[str, Any]:
    amount = call.input["amount"]
    if not 0 < amount <= LARGEST_AMOUNT:
        raise BusinessFailure(f"An amount of {amount} cannot be charged.", code="card_declined")
    # The same key for every attempt: a repeated charge has the same number.
    return {"payment": f"pay-{call.idempotency_key}", "amount": amount}


def refund_payment(call: Call) -> dict[str, Any]:
    return {"refunded": call.input["amount"]}


def reserve_items(call: Call) -> dict[str, Any]:
    items = call.input["items"]
    if not items:
        raise BusinessFailure("There is nothing to reserve.", code="out_of_stock")
    return {"reserved": [item["sku"] for item in items]}


def release_items(call: Call) -> dict[str, Any]:
    return {"released": [item["sku"] for item in call.input["items"]]}


def ship_order(call: Call) -> dict[str, Any]:
    if not call.input["address"]:
        raise BusinessFailure("There is no address to ship to.", code="no_address")
    return {"parcel": f"parcel-{call.business_key}"}


def cancel_shipping(call: Call) -> dict[str, Any]:
    return {"cancelled": f"parcel-{call.business_key}"}


class PaymentInventoryShipping(Saga, name="payment-inventory-shipping", timeout="5m"):
    payment = step(
        "Payment",
        action=charge_payment,
        compensation=refund_payment,
        timeout="30s",
        retry=exponential_backoff(3),
    )
    inventory = step("Inventory", action=reserve_items, compensation=release_items, timeout="30s")
    shipping = step("Shipping", action=ship_order, compensation=cancel_shipping, timeout="60s")

    scenarios = [
        scenario("PaymentFailed", ["(none, the first step)"]),
        scenario("InventoryFailed", [refund_payment]),
        scenario("ShippingFailed", [release_items, refund_payment]),
    ]
    invariants = ["All compensations must be idempotent"]
