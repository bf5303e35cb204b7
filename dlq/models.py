"""Dead letters: messages and replies that ran out of attempts or could not be understood."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.uuid7 import uuid7


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    def open(self) -> DeadLetterQuerySet:
        return self.filter(status=DeadLetter.Status.OPEN)

    def reprocessing(self) -> DeadLetterQuerySet:
        return self.filter(status=DeadLetter.Status.REPROCESSING)

    def settled(self) -> DeadLetterQuerySet:
        return self.filter(settled_at__isnull=False)


class DeadLetter(models.Model):
    """One message that nobody could take, with its reason and every attempt.

    open → reprocessing → recovered, or back to open when it fails again; open → discarded.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        REPROCESSING = "reprocessing", _("being reprocessed")
        RECOVERED = "recovered", _("recovered")
        DISCARDED = "discarded", _("discarded")

    class Source(models.TextChoices):
        OUTBOX = "outbox", _("outbox message")
        REPLY = "reply", _("participant's reply")

    class Reason(models.TextChoices):
        ATTEMPTS_SPENT = "attempts_spent", _("every attempt failed")
        POISON = "poison", _("cannot be understood")
        UNKNOWN_SAGA = "unknown_saga", _("answers no saga we know")
        FINISHED_SAGA = "finished_saga", _("answers a saga that has ended")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    source = models.CharField(max_length=10, choices=Source)
    reason = models.CharField(max_length=20, choices=Reason)
    # The route's name, or the participant's for a reply.
    destination = models.CharField(max_length=200)
    message_id = models.CharField(max_length=200)
    type = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=200, blank=True)
    payload = models.JSONField()
    headers = models.JSONField(default=dict)
    saga_id = models.UUIDField(null=True, blank=True)
    error_class = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    # Destination + error class + normalised message: what belongs to one cause.
    fingerprint = models.CharField(max_length=64)
    attempts = models.PositiveIntegerField(default=0)
    # Counts every change; what an operator saw when pressing a button.
    version = models.PositiveIntegerField(default=1)
    dead_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)
    settle_reason = models.TextField(blank=True)
    # The request that changed it last: a press that is repeated does nothing twice.
    last_request_id = models.CharField(max_length=100, blank=True, editable=False)

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        indexes = [
            # The list of a status, newest first, and its groups.
            models.Index(fields=["status", "-id"], name="dlq_letter_status"),
            models.Index(fields=["status", "fingerprint"], name="dlq_letter_group"),
            # Reprocess by destination, heads of keys first.
            models.Index(fields=["status", "destination", "id"], name="dlq_letter_destination"),
            # Purging what was settled long ago.
            models.Index(
                fields=["settled_at"],
                name="dlq_letter_settled_at",
                condition=models.Q(settled_at__isnull=False),
            ),
            models.Index(
                fields=["saga_id"],
                name="dlq_letter_saga",
                condition=models.Q(saga_id__isnull=False),
            ),
        ]
        constraints = [
            # One open letter per message and destination, however often it is buried.
            models.UniqueConstraint(
                fields=["source", "destination", "message_id"],
                condition=models.Q(status__in=["open", "reprocessing"]),
                name="dlq_letter_once",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["open", "reprocessing"], settled_at__isnull=True)
                | models.Q(status__in=["recovered", "discarded"], settled_at__isnull=False),
                name="dlq_letter_settled",
            ),
        ]
        permissions = [
            ("reprocess_deadletter", "Can reprocess dead letters"),
            ("discard_deadletter", "Can discard dead letters"),
        ]

    def __str__(self) -> str:
        return f"{self.type or self.source} {self.key}"


class Attempt(models.Model):
    """One failed attempt of a dead letter, before or after it died."""

    letter = models.ForeignKey(DeadLetter, on_delete=models.CASCADE, related_name="attempt_set")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    error_class = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    trace = models.TextField(blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["letter", "number"], name="dlq_attempt_number"),
        ]

    def __str__(self) -> str:
        return f"{self.letter_id} #{self.number}"
