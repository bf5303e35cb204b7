"""What the API shows of sagas, definitions and participants."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from sagas.changes import changes_between
from sagas.core.definition import StepType
from sagas.core.state import Direction, StepState, StepStatus, WaitsFor
from sagas.core.verbs import Verb, legal
from sagas.engine.intervening import state_of
from sagas.missing import Kind
from sagas.models import Definition, JournalEntry, Participant, Saga
from sagas.participants.breaker import State
from sagas.participants.figures import names_of, read_conditions
from sagas.participants.limiting import LIMITS
from sagas.waiting import Waiting

# A saga that was retried for days shows its newest entries; the rest is at journal/.
JOURNAL_SHOWN = 50


def shown_time(at: float | None) -> str | None:
    """Return Unix seconds as the API shows times."""
    if at is None:
        return None
    shown: str = serializers.DateTimeField().to_representation(datetime.fromtimestamp(at, UTC))
    return shown


class SagaRow(serializers.ModelSerializer[Saga]):
    definition = serializers.CharField(source="definition.name")
    definition_version = serializers.IntegerField(source="definition.version")
    priority = serializers.CharField(read_only=True, help_text="high, normal or low.")

    class Meta:
        model = Saga
        fields = [
            "id",
            "definition",
            "definition_version",
            "business_key",
            "status",
            "paused",
            "priority",
            "version",
            "failed_step",
            "error_message",
            "fingerprint",
            "due_at",
            "created_at",
            "updated_at",
        ]


class StepRow(serializers.Serializer[Any]):
    """One step: what the definition says, and what has become of it."""

    name = serializers.CharField()
    participant = serializers.CharField()
    action = serializers.CharField()
    compensation = serializers.CharField(allow_null=True)
    kind = serializers.CharField()
    type = serializers.ChoiceField(choices=[type.value for type in StepType])
    status = serializers.ChoiceField(choices=[status.value for status in StepStatus])
    attempts = serializers.IntegerField()
    undo_attempts = serializers.IntegerField()
    in_doubt = serializers.BooleanField(help_text="It may have taken effect; nobody knows.")
    output = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(
        allow_null=True, help_text="Of the last failed attempt: class, message, retryable."
    )
    waits_for = serializers.ChoiceField(
        choices=[what.value for what in WaitsFor],
        allow_null=True,
        help_text="What a step that waits, or an undo that was accepted, waits for.",
    )
    wake_at = serializers.DateTimeField(
        allow_null=True, help_text="The next attempt, or until when it waits."
    )
    child = serializers.UUIDField(allow_null=True, help_text="The saga that it has started.")
    blocked = serializers.DictField(
        allow_null=True, help_text="The lock that it wants, and the saga that holds it."
    )
    edition = serializers.IntegerField(
        help_text="With which input it was begun: 0 the first one, n the n-th edition."
    )
    probes = serializers.IntegerField(help_text="How often its participant was asked.")


class Edition(serializers.Serializer[Any]):
    """An input that an operator has put in the place of the one before."""

    number = serializers.IntegerField()
    input = serializers.JSONField(allow_null=True)
    changes = serializers.ListField(
        child=serializers.DictField(), help_text="path, old and new of each line that differs."
    )


class Signal(serializers.Serializer[Any]):
    """A signal that no step has taken yet."""

    name = serializers.CharField()
    data = serializers.JSONField(allow_null=True)  # type: ignore[assignment]


class Parent(serializers.Serializer[Any]):
    """The saga whose step has started this one."""

    saga = serializers.UUIDField()
    step = serializers.CharField()


class JournalRow(serializers.ModelSerializer[JournalEntry]):
    data = serializers.DictField(  # type: ignore[assignment]
        help_text="What happened; its fields depend on the kind."
    )

    class Meta:
        model = JournalEntry
        fields = ["seq", "kind", "step", "data", "at"]


class PlanLine(serializers.Serializer[Any]):
    step = serializers.CharField()
    participant = serializers.CharField()
    action = serializers.CharField()
    direction = serializers.ChoiceField(choices=[direction.value for direction in Direction])
    note = serializers.CharField(
        allow_blank=True, help_text="What is awaited, under which condition it happens, …"
    )


class Plan(serializers.Serializer[Any]):
    """The calls that would follow if each of them succeeds; none while the verb is refused."""

    verb = serializers.ChoiceField(choices=[verb.value for verb in Verb])
    version = serializers.IntegerField(help_text="The saga's version that this was made for.")
    legal = serializers.BooleanField()
    why_not = serializers.CharField(allow_null=True)
    calls = PlanLine(many=True)
    standing = serializers.ListField(
        child=serializers.CharField(), help_text="Steps whose effects stand now, last one first."
    )


def is_waiting(step: StepState) -> bool:
    return step.status == StepStatus.WAITING or step.accepted


class SagaDetail(SagaRow):
    tenant = serializers.CharField(source="start.tenant")
    input = serializers.SerializerMethodField()
    outputs = serializers.SerializerMethodField(help_text="What steps returned, by step name.")
    cause = serializers.SerializerMethodField(help_text="Where and why it went wrong.")
    verbs = serializers.SerializerMethodField(help_text="The verbs that its state allows now.")
    steps = serializers.SerializerMethodField()
    parent = serializers.SerializerMethodField()  # type: ignore[assignment]
    editions = serializers.SerializerMethodField(
        help_text="The inputs that operators have edited, oldest first; the last one counts."
    )
    signals = serializers.SerializerMethodField(help_text="Not taken yet, oldest first.")
    journal = serializers.SerializerMethodField(
        help_text=f"The newest {JOURNAL_SHOWN} entries, oldest of them first."
    )

    class Meta(SagaRow.Meta):
        fields = [
            *SagaRow.Meta.fields,
            "tenant",
            "input",
            "outputs",
            "cause",
            "verbs",
            "steps",
            "parent",
            "editions",
            "signals",
            "journal",
        ]

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_input(self, saga: Saga) -> Any:
        return saga.start.input

    def get_outputs(self, saga: Saga) -> dict[str, Any]:
        definition, state = state_of(saga)
        return {
            step.name: own.output
            for step, own in zip(definition.steps, state.steps, strict=True)
            if own.output is not None
        }

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_cause(self, saga: Saga) -> Any:
        return saga.state.get("cause")

    def get_verbs(self, saga: Saga) -> list[str]:
        return [verb.value for verb in legal(*state_of(saga))]

    @extend_schema_field(StepRow(many=True))
    def get_steps(self, saga: Saga) -> list[dict[str, Any]]:
        definition, state = state_of(saga)
        return [
            {
                "name": step.name,
                "participant": step.participant,
                "action": step.action,
                "compensation": step.compensation,
                "kind": step.kind.value,
                "type": step.type.value,
                "status": own.status.value,
                "attempts": own.attempt,
                "undo_attempts": own.undo_attempt,
                "in_doubt": own.in_doubt,
                "output": own.output,
                "error": own.error,
                "waits_for": own.waits_for.value if is_waiting(own) else None,
                "wake_at": shown_time(own.wake_at),
                "child": own.child or None,
                "blocked": own.blocked
                and own.blocked | {"since": shown_time(own.blocked["since"])},
                "edition": own.edition,
                "probes": own.probes,
            }
            for step, own in zip(definition.steps, state.steps, strict=True)
        ]

    @extend_schema_field(Parent(allow_null=True))
    def get_parent(self, saga: Saga) -> Any:
        return saga.state.get("parent")

    @extend_schema_field(Edition(many=True))
    def get_editions(self, saga: Saga) -> list[dict[str, Any]]:
        inputs = [saga.start.input, *saga.state.get("editions", ())]
        return [
            {"number": number, "input": after, "changes": changes_between(before, after)}
            for number, (before, after) in enumerate(pairwise(inputs), start=1)
        ]

    @extend_schema_field(Signal(many=True))
    def get_signals(self, saga: Saga) -> list[dict[str, Any]]:
        return [{"name": name, "data": data} for name, data in saga.state.get("signals", ())]

    @extend_schema_field(JournalRow(many=True))
    def get_journal(self, saga: Saga) -> Any:
        newest = JournalEntry.objects.filter(saga_id=saga.pk).order_by("-seq")[:JOURNAL_SHOWN]
        return JournalRow(list(newest)[::-1], many=True).data


class WaitingRow(serializers.Serializer[Any]):
    """Something that workers have missed within the last 90 s, and the sagas that wait for it."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind], source="missing.kind")
    name = serializers.CharField(
        source="missing.name", help_text="The participant, or the definition."
    )
    detail = serializers.CharField(
        source="missing.detail", help_text="The action, or the definition's version."
    )
    since = serializers.SerializerMethodField()
    sagas = serializers.IntegerField(source="sagas.value", help_text="That wait for it.")
    capped = serializers.BooleanField(source="sagas.capped", help_text="There may be more.")
    definitions = serializers.ListField(child=serializers.CharField())

    @extend_schema_field(serializers.DateTimeField())
    def get_since(self, row: Waiting) -> str | None:
        return shown_time(row.since)


class DefinitionRow(serializers.ModelSerializer[Definition]):
    class Meta:
        model = Definition
        fields = ["name", "version", "format", "checksum", "created_at"]


class DefinitionDetail(serializers.ModelSerializer[Definition]):
    spec = serializers.DictField(help_text="The definition as JSON, whatever it was written in.")

    class Meta:
        model = Definition
        fields = [*DefinitionRow.Meta.fields, "spec", "source"]


class ConditionRow(serializers.Serializer[Any]):
    """How a participant is doing: over all workers, as Redis has it."""

    breaker = serializers.ChoiceField(choices=[state.value for state in State])
    since = serializers.DateTimeField(
        allow_null=True, help_text="When its breaker came to this state."
    )
    until = serializers.DateTimeField(
        allow_null=True, help_text="When an open breaker lets one call through to see."
    )
    in_flight = serializers.IntegerField()
    calls_per_minute = serializers.FloatField()
    outage_share = serializers.FloatField(
        allow_null=True, help_text="Of the calls of the last five minutes; null without any."
    )
    p50_s = serializers.FloatField(allow_null=True, help_text="Latency, likewise.")
    p95_s = serializers.FloatField(allow_null=True)


class ParticipantRow(serializers.ModelSerializer[Participant]):
    condition = serializers.SerializerMethodField(
        help_text="How it is doing; null while Redis is away."
    )

    class Meta:
        model = Participant
        fields = [
            "name",
            "transport",
            "address",
            "api",
            "paused_at",
            "paused_by",
            "pause_reason",
            *LIMITS,
            "condition",
        ]

    @extend_schema_field(ConditionRow(allow_null=True))
    def get_condition(self, row: Participant) -> dict[str, Any] | None:
        conditions = self.context.get("conditions") or read_conditions(names_of([row]))
        return ConditionRow(conditions[row.name]).data if conditions else None
