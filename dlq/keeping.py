"""The keeper that the outbox hands its dead deliveries to, in the relay's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from dlq.burying import bury_deliveries
from dlq.models import DeadLetter
from dlq.settling import settle
from outbox.dying import DeadDelivery


class OutboxKeeper:
    """Buries what nobody could take, and settles what has been published after all."""

    def bury(self, dead: Sequence[DeadDelivery]) -> Mapping[int, UUID]:
        return bury_deliveries(dead)

    def recover(self, letter_ids: Sequence[UUID]) -> None:
        reprocessed = DeadLetter.objects.filter(pk__in=letter_ids).reprocessing()
        settle(reprocessed, DeadLetter.Status.RECOVERED)
