"""The outbox: an immutable log of messages and a narrow table of what is still to be delivered.

`publish()` writes both in the caller's transaction. A relay leases lanes (buckets of keys), reads
their ready deliveries in order, publishes, and deletes what is done, guarded by the lane's epoch.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.uuid7 import uuid7

LANES = 64


class Route(models.Model):
    """Where messages go: a transport, a target, and what happens when delivery fails."""

    class Transport(models.TextChoices):
        REDIS_STREAM = "redis_stream", _("Redis stream")
        CELERY_TASK = "celery_task", _("Celery task")

    class OnDead(models.TextChoices):
        CONTINUE = "continue", _("go on with the next message of the key")
        PARK = "park", _("park the messages behind it until it is settled")

    name = models.SlugField(_("name"), max_length=100, unique=True)
    transport = models.CharField(_("transport"), max_length=20, choices=Transport)
    target = models.CharField(
        _("target"), max_length=200, help_text=_("The name of the stream or the task.")
    )
    types = models.JSONField(
        _("message types"),
        default=list,
        help_text=_("A list of types: exact, or with a * at the end, as in [“saga.*”]."),
    )
    on_dead = models.CharField(
        _("when a message is dead"), max_length=10, choices=OnDead, default=OnDead.CONTINUE
    )
    max_attempts = models.PositiveSmallIntegerField(
        _("attempts"), null=True, blank=True, help_text=_("Empty: as the settings say.")
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)
    pause_reason = models.TextField(blank=True)
    # Since when relays cannot reach the target, and what the last one was told.
    outage_since = models.DateTimeField(null=True, blank=True, editable=False)
    outage_error = models.TextField(blank=True, editable=False)

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        ordering = ["name"]
        permissions = [("pause_route", "Can pause and resume a route")]

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """One message as it was published; never changed afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    payload = models.JSONField()
    # CloudEvents attributes beyond id/type/time, and the trace context.
    headers = models.JSONField(default=dict)
    saga_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # The timeline of one saga.
            models.Index(
                fields=["saga_id", "id"],
                name="outbox_message_saga",
                condition=models.Q(saga_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.key}"


class Delivery(models.Model):
    """A message on its way to one route. The row is deleted when it has been published.

    Per route and key it is published in the order of `id`, a database sequence: whoever writes two
    messages of a key one after the other (under the lock of the saga's row) has them in order.

    ready → published (no row), or waiting → ready for the next attempt, or dead/blocking when its
    attempts are spent; what is behind a waiting or blocking one is parked.
    """

    class Status(models.TextChoices):
        READY = "ready", _("ready")
        WAITING = "waiting", _("waits for its next attempt")
        PARKED = "parked", _("parked behind an earlier message of its key")
        DEAD = "dead", _("dead letter; its key goes on")
        BLOCKING = "blocking", _("dead letter; its key waits for it")

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(
        Message,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,
        related_name="deliveries",
    )
    route = models.ForeignKey(
        Route,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,
        related_name="deliveries",
    )
    lane = models.SmallIntegerField()
    key = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status, db_default=Status.READY)
    attempts = models.PositiveSmallIntegerField(db_default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    # [{"at", "error_class", "message"}], one per failed attempt since it was last made ready.
    errors = models.JSONField(db_default=models.Value([], models.JSONField()))
    # The dead letter it became; kept while that letter is reprocessed.
    letter_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # What a relay reads: the ready ones of its lanes, per route, in order.
            models.Index(
                fields=["lane", "route", "id"],
                name="outbox_delivery_ready",
                condition=models.Q(status="ready"),
            ),
            # What becomes ready again when its time has come.
            models.Index(
                fields=["not_before"],
                name="outbox_delivery_waiting",
                condition=models.Q(status="waiting"),
            ),
            # Is this key blocked, and by what; what to release when it no longer is.
            models.Index(
                fields=["route", "key", "id"],
                name="outbox_delivery_blocked",
                condition=models.Q(status__in=["waiting", "parked", "blocking"]),
            ),
            # The deliveries of a message: a saga's timeline, and what purging spares.
            models.Index(fields=["message"], name="outbox_delivery_message"),
            # Reprocess and discard of dead letters.
            models.Index(
                fields=["letter_id"],
                name="outbox_delivery_letter",
                condition=models.Q(letter_id__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(lane__gte=0, lane__lt=LANES), name="outbox_delivery_lane"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["ready", "parked", "dead", "blocking"], not_before__isnull=True
                )
                | models.Q(status="waiting", not_before__isnull=False),
                name="outbox_delivery_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} → {self.route_id}"


class Lane(models.Model):
    """One bucket of keys; the relay that leases it is the only one to publish from it."""

    id = models.SmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=100, blank=True)
    epoch = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    served_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return str(self.id)


class Receipt(models.Model):
    """The record of one published batch: which messages, by which relay, when."""

    route = models.ForeignKey(Route, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    relay = models.CharField(max_length=100)
    count = models.IntegerField()
    # UUIDs of the messages; an array keeps it to one row a batch.
    message_ids = models.JSONField()
    published_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # Throughput of the last hour without touching the table, finding a message's receipt
            # from its creation on, and purging.
            models.Index(
                fields=["published_at"], include=["route", "count"], name="outbox_receipt_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.route_id} {self.published_at}"
