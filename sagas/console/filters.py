"""The filters of the saga list; all of them are in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Self
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from outbox.paging import count_up_to, first_id_at
from sagas.models import AwaitedDecision, Definition, Saga
from sagas.searching import narrow, read_terms

# Since when, or (with a minus) until when, a saga has to have been started.
AGES = {
    "1h": (_("Started in the last hour"), timedelta(hours=1)),
    "1d": (_("Started in the last day"), timedelta(days=1)),
    "7d": (_("Started in the last 7 days"), timedelta(days=7)),
    "-1h": (_("Started more than an hour ago"), timedelta(hours=1)),
    "-1d": (_("Started more than a day ago"), timedelta(days=1)),
}

FEW = 10_000


@dataclass(frozen=True)
class Filters:
    """What the reader wants to see; an empty field does not narrow the list."""

    q: str = ""
    status: str = ""
    definition: str = ""
    version: str = ""
    step: str = ""
    fingerprint: str = ""
    tenant: str = ""
    age: str = ""
    paused: str = ""
    retrying: str = ""
    # What its steps wait for: approval.
    waiting: str = ""

    @classmethod
    def read(cls, params: Mapping[str, str]) -> Self:
        """Read the filters from an address; values that mean nothing are dropped."""
        values = {name: params.get(name, "").strip() for name in cls.__dataclass_fields__}
        if values["status"] not in Saga.Status.values:
            values["status"] = ""
        if values["waiting"] != "approval":
            values["waiting"] = ""
        if values["age"] not in AGES:
            values["age"] = ""
        if not values["version"].isdecimal():
            values["version"] = ""
        return cls(**{name: value.replace("\x00", "") for name, value in values.items()})

    def set_fields(self) -> dict[str, str]:
        """Return the filters that narrow the list."""
        return {name: value for name, value in asdict(self).items() if value}

    def address(self, **changes: str) -> str:
        """Return the query part of the address with some filters changed."""
        return urlencode({k: v for k, v in (asdict(self) | changes).items() if v})

    def saga_id(self) -> UUID | None:
        """Return the search words as a saga's id when they are one."""
        try:
            return UUID(self.q)
        except ValueError:
            return None

    @cached_property
    def terms(self) -> dict[str, str]:
        """Return the search attributes that the search words name, if that is what they are."""
        return read_terms(self.q) if ":" in self.q else {}

    def apply(self, sagas: QuerySet[Saga]) -> QuerySet[Saga]:
        """Narrow the sagas; every filter is answered by an index or by a bounded set."""
        if saga_id := self.saga_id():
            sagas = sagas.filter(pk=saga_id)
        elif terms := self.terms:
            sagas = narrow(sagas, terms)
        elif self.q:
            sagas = self._by_key(sagas)
        if self.status:
            sagas = sagas.filter(status=self.status)
        if self.definition:
            sagas = sagas.filter(definition_id__in=self._definition_ids())
        if self.step:
            sagas = sagas.filter(failed_step=self.step)
        if self.fingerprint:
            sagas = sagas.filter(fingerprint=self.fingerprint)
        if self.tenant:
            sagas = sagas.filter(start__tenant=self.tenant)
        if self.paused:
            sagas = sagas.filter(paused=True)
        if self.retrying:
            sagas = sagas.filter(is_retrying())
        if self.waiting:
            sagas = sagas.filter(pk__in=AwaitedDecision.objects.open().values("saga_id"))
        return self._by_age(sagas)

    def _by_key(self, sagas: QuerySet[Saga]) -> QuerySet[Saga]:
        """Search for the beginning of a business key.

        Few matches are looked up from the index over the keys. Many are found soon enough by
        going through the sagas from the newest on; the planner cannot tell which it will be.
        """
        matching = Saga.objects.filter(business_key__startswith=self.q)
        if count_up_to(matching, FEW).capped:
            return sagas.filter(business_key__startswith=self.q)
        return sagas.filter(pk__in=matching.values("pk")[:FEW])

    def _definition_ids(self) -> list[int]:
        definitions = Definition.objects.filter(name=self.definition)
        if self.version:
            definitions = definitions.filter(version=int(self.version))
        return list(definitions.values_list("pk", flat=True))

    def _by_age(self, sagas: QuerySet[Saga]) -> QuerySet[Saga]:
        if not self.age:
            return sagas
        _words, age = AGES[self.age]
        edge = first_id_at(timezone.now() - age)
        return sagas.filter(pk__lt=edge) if self.age.startswith("-") else sagas.filter(pk__gte=edge)


def is_retrying() -> Q:
    """Return the condition "it moves, and attempts of its present step have failed"."""
    failing = Func(
        F("state"),
        Value("$.steps[*].failing_since"),
        function="jsonb_path_exists",
        template="%(function)s(%(expressions)s::jsonpath)",
        output_field=BooleanField(),
    )
    return Q(status__in=[Saga.Status.RUNNING, Saga.Status.COMPENSATING]) & Q(failing)
