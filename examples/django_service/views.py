"""The actions. Each runs once, in one transaction with what the barrier remembers of it."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from examples.django_service.models import Parcel, Reservation
from sagas.barrier.exceptions import BusinessFailure
from sagas.barrier.views import guarded, read_command

# Of every article.
STOCK = 100


@csrf_exempt
@require_POST
@guarded(direction="forward")
def reserve_items(request: HttpRequest) -> dict[str, Any]:
    command = read_command(request)
    sku, pieces = command.input["sku"], int(command.input["pieces"])
    kept = Reservation.objects.filter(sku=sku, released=False).aggregate(sum=Sum("pieces"))["sum"]
    left = STOCK - (kept or 0)
    if pieces > left:
        raise BusinessFailure(f"Only {left} pieces of {sku} are left.", code="sold_out")
    reservation = Reservation.objects.create(order=command.business_key, sku=sku, pieces=pieces)
    return {"reservation": reservation.pk, "left": left - pieces}


@csrf_exempt
@require_POST
@guarded(direction="backward")
def release_items(request: HttpRequest) -> dict[str, Any]:
    order = read_command(request).business_key
    released = Reservation.objects.filter(order=order, released=False).update(released=True)
    return {"released": released}


@csrf_exempt
@require_POST
@guarded(direction="forward")
def pack_parcel(request: HttpRequest) -> dict[str, Any]:
    command = read_command(request)
    if command.input.get("gift"):
        raise BusinessFailure("There is no gift paper left.", code="no_gift_paper")
    return {"parcel": Parcel.objects.create(order=command.business_key).pk}


@csrf_exempt
@require_POST
@guarded(direction="backward")
def unpack_parcel(request: HttpRequest) -> dict[str, Any]:
    order = read_command(request).business_key
    return {"unpacked": Parcel.objects.filter(order=order, unpacked=False).update(unpacked=True)}
