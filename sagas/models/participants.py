"""The services that perform steps."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from sagas.participants.descriptions import DescriptionError, read_description
from sagas.participants.secrets import Holder, plain_name


def between(least: float, most: float) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(least), MaxValueValidator(most)]


class Participant(models.Model):
    """A service that performs steps; operators can pause it, and limit its calls over HTTP."""

    class Transport(models.TextChoices):
        LOCAL = "local", _("local callable")
        HTTP = "http", "HTTP"
        MESSAGE = "message", _("message")

    name = models.CharField(_("name"), max_length=100, unique=True)
    transport = models.CharField(_("transport"), max_length=10, choices=Transport)
    address = models.CharField(
        _("address"),
        max_length=500,
        blank=True,
        help_text=_("Over HTTP: the action's name is added to it, after a slash."),
    )
    # What participants.descriptions reads; without it the address speaks our own protocol.
    api: models.JSONField[Any, Any] = models.JSONField(
        _("description of its API"),
        null=True,
        blank=True,
        help_text=_(
            "For an API that exists already: how each action is called. Without it, the address "
            "is called by Sagadesk's own protocol."
        ),
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)
    pause_reason = models.TextField(blank=True)
    max_concurrency = models.PositiveIntegerField(
        _("calls at once, at most"),
        null=True,
        blank=True,
        validators=between(1, 10_000),
        help_text=_("Over all workers. Empty: no limit."),
    )
    max_rate = models.FloatField(
        _("calls per second, at most"),
        null=True,
        blank=True,
        validators=between(0.01, 100_000),
        help_text=_("Over all workers. Empty: no limit."),
    )
    breaker_failures = models.PositiveIntegerField(
        _("the breaker opens after failures in a row"),
        null=True,
        blank=True,
        default=10,
        db_default=10,
        validators=between(1, 1_000),
        help_text=_(
            "Only what cannot be reached, does not answer in time or answers 5xx counts. "
            "Empty: not by this."
        ),
    )
    breaker_ratio = models.PositiveSmallIntegerField(
        _("or after this share of calls failed, in percent"),
        null=True,
        blank=True,
        default=50,
        db_default=50,
        validators=between(1, 100),
        help_text=_("Of at least 20 calls. Empty: not by this; with both empty there is none."),
    )
    breaker_window_s = models.PositiveIntegerField(
        _("of the calls of the last seconds"),
        default=30,
        db_default=30,
        validators=between(1, 3_600),
    )
    breaker_open_s = models.PositiveIntegerField(
        _("it stays open for seconds"),
        default=10,
        db_default=10,
        validators=between(1, 3_600),
        help_text=_("Then one call at a time looks whether the participant is back."),
    )
    # When an operator closed the breaker; workers go by the newest time that they have seen.
    breaker_reset_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(transport="http") | ~models.Q(address=""),
                name="sagas_participant_address",
            ),
            models.CheckConstraint(
                condition=models.Q(transport="http")
                | models.Q(max_concurrency=None, max_rate=None),
                name="sagas_participant_limits_http",
                violation_error_message=_("Only HTTP participants can be limited."),
            ),
            models.CheckConstraint(
                condition=(models.Q(max_concurrency=None) | models.Q(max_concurrency__gte=1))
                & (models.Q(max_rate=None) | models.Q(max_rate__gt=0)),
                name="sagas_participant_limits",
            ),
            models.CheckConstraint(
                condition=(models.Q(breaker_failures=None) | models.Q(breaker_failures__gte=1))
                & (models.Q(breaker_ratio=None) | models.Q(breaker_ratio__range=(1, 100)))
                & models.Q(breaker_window_s__gte=1, breaker_open_s__gte=1),
                name="sagas_participant_breaker",
            ),
        ]
        permissions = [
            ("pause_participant", "Can pause and resume a participant"),
            ("limit_participant", "Can limit a participant and close its breaker"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a name or a description that cannot be used. Raises ValidationError with why."""
        if alike := self._alike():
            text = _("%(name)s has the same name but for capitals and punctuation.")
            raise ValidationError({"name": text % {"name": alike}})
        if self.api is None:
            return
        if self.transport != self.Transport.HTTP:
            raise ValidationError({"api": _("Only an HTTP participant has an API.")})
        if problems := self.api_problems():
            raise ValidationError({"api": problems})

    def api_problems(self) -> list[str]:
        """Return what is wrong with the description of its API, each with its place and cure."""
        try:
            read_description(self.api, Holder(self.name, self.address))
        except DescriptionError as error:
            return error.problems
        return []

    def _alike(self) -> str:
        """Return another participant whose secrets would be this one's, too; "" for none."""
        others = Participant.objects.exclude(pk=self.pk).exclude(name=self.name)
        own = plain_name(self.name)
        names = others.values_list("name", flat=True)
        return next((name for name in names if own and plain_name(name) == own), "")
