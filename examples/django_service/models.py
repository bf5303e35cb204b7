from django.db import models


class Reservation(models.Model):
    """Pieces of an article that are kept for an order."""

    order = models.CharField(max_length=200)
    sku = models.CharField(max_length=100)
    pieces = models.PositiveIntegerField()
    released = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.pieces} x {self.sku} for {self.order}"


class Parcel(models.Model):
    order = models.CharField(max_length=200)
    unpacked = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"parcel {self.pk} for {self.order}"
