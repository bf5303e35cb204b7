"""What the lists of sagas and definitions can be narrowed by."""

from __future__ import annotations

from django.db.models import QuerySet

from outbox.api.filters import (
    ByAge,
    ChoiceFilter,
    Filters,
    TextFilter,
    WholeNumberFilter,
    YesNoFilter,
)
from sagas.models import AwaitedDecision, Definition, Participant, Saga
from sagas.searching import declared_names, narrow

SEARCH = "search."


class SagaFilters(ByAge):
    status = ChoiceFilter(choices=Saga.Status.choices)
    definition = TextFilter(method="of_definition", help_text="The definition's name.")
    version = WholeNumberFilter(
        field_name="definition__version", help_text="The definition's version."
    )
    business_key = TextFilter()
    business_key_prefix = TextFilter(
        field_name="business_key", lookup_expr="startswith", help_text="How the key begins."
    )
    failed_step = TextFilter(help_text="The step that failed.")
    fingerprint = TextFilter(help_text="What groups sagas with the same error.")
    paused = YesNoFilter()
    tenant = TextFilter(field_name="start__tenant", help_text="For whom they were started.")

    waiting = ChoiceFilter(
        choices=[("approval", "approval")],
        method="of_waiting",
        help_text="What a step of theirs waits for.",
    )

    class Meta:
        model = Saga
        fields: list[str] = []

    def known(self) -> set[str]:
        """Search attributes are filters, too: search.orderId."""
        wanted = self._wanted()
        declared = wanted & declared_names() if wanted else set()
        return super().known() | {f"{SEARCH}{name}" for name in declared}

    def filter_queryset(self, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        sagas: QuerySet[Saga] = super().filter_queryset(queryset)
        wanted = {name: self.data[f"{SEARCH}{name}"] for name in self._wanted()}
        return narrow(sagas, wanted) if wanted else sagas

    def _wanted(self) -> set[str]:
        return {name.removeprefix(SEARCH) for name in self.data if name.startswith(SEARCH)}

    def of_waiting(self, sagas: QuerySet[Saga], name: str, value: str) -> QuerySet[Saga]:
        return sagas.filter(pk__in=AwaitedDecision.objects.open().values("saga_id"))

    def of_definition(self, sagas: QuerySet[Saga], name: str, value: str) -> QuerySet[Saga]:
        # A few ids instead of a join: the list keeps its order by key.
        ids = Definition.objects.filter(name=value).values_list("pk", flat=True)
        return sagas.filter(definition_id__in=list(ids))


class DefinitionFilters(Filters):
    name = TextFilter()

    class Meta:
        model = Definition
        fields: list[str] = []


class ParticipantFilters(Filters):
    transport = ChoiceFilter(choices=Participant.Transport.choices)
    paused = YesNoFilter(field_name="paused_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Participant
        fields: list[str] = []
