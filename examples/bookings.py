"""What the demo's customers want: the same bookings and orders in every run.

{"customer": "C-0417", "flight": "KE901", "date": "2027-03-14", "passengers": 2,
 "hotel": "Hotel Seine", "nights": 4, "amount": 1893.5, "currency": "EUR", "card": "4242…"}
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

FIRST_DAY = date(2027, 1, 4)
TRIPS = [
    ("KE901", "ICN", "CDG", "Hotel Seine"),
    ("KE905", "ICN", "FRA", "Hotel Mainblick"),
    ("OZ541", "ICN", "LHR", "Thames Court"),
    ("KE703", "ICN", "NRT", "Hotel Ueno"),
    ("OZ731", "ICN", "SGN", "Saigon Riverside"),
    ("KE081", "ICN", "JFK", "Hudson House"),
    ("OZ101", "ICN", "HND", "Hotel Shinagawa"),
    ("KE1201", "GMP", "CJU", "Hotel Hallasan"),
]
SKUS = ["TEA-ORG-100", "MUG-WHT-350", "POT-CST-090", "TRAY-OAK-40", "LAMP-PPR-2", "BAG-LIN-15"]
# Publicly known numbers for trying out payments; the second is always short of funds.
GOOD_CARD = "4242 4242 4242 4242"
POOR_CARD = "4000 0000 0000 9995"
POOR_SHARE = 0.08


def trip(number: int) -> dict[str, Any]:
    """Return the input of the demo's travel booking with this number."""
    random = Random(f"trip {number}")
    flight, origin, destination, hotel = random.choice(TRIPS)
    passengers = random.choices([1, 2, 3, 4], [4, 5, 1, 2])[0]
    nights = random.randint(2, 9)
    fare, night = random.randint(60, 900), random.randint(45, 320)
    return {
        "customer": f"C-{random.randint(1, 900):04}",
        "flight": flight,
        "from": origin,
        "to": destination,
        "date": str(FIRST_DAY + timedelta(random.randrange(300))),
        "passengers": passengers,
        "hotel": hotel,
        "nights": nights,
        "amount": float(fare * passengers + night * nights),
        "currency": "EUR",
        "card": card(random),
    }


def order(number: int) -> dict[str, Any]:
    """Return the input of the demo's shop order with this number."""
    random = Random(f"order {number}")
    quantity = random.randint(1, 12)
    return {
        "customer": f"C-{random.randint(1, 900):04}",
        "sku": random.choice(SKUS),
        "quantity": quantity,
        "amount": round(quantity * random.uniform(4, 60), 2),
        "currency": "EUR",
        "card": card(random),
        "country": random.choice(["KR", "DE", "FR", "NL", "JP"]),
    }


def card(random: Random) -> str:
    return POOR_CARD if random.random() < POOR_SHARE else GOOD_CARD
