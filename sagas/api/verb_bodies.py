"""What callers send with operators' verbs and signals."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from outbox.api.reading import Body, Number, Text
from sagas.api.bodies import OrderBody
from sagas.verbs import Details


class VerbBody(OrderBody):
    """An order, and what its verb needs beside."""

    def details(self) -> Details:
        return Details(**self.fields_of(self.validated_data))

    def fields_of(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the order's details."""
        own = given.keys() - OrderBody().fields.keys()
        return {name: given[name] for name in own}


class StepBody(VerbBody):
    step = Text(max_length=100, help_text="One of those for which the verb can be given.")


class MarkDoneBody(StepBody):
    evidence = Text(max_length=2000, help_text="What was done, and where that can be seen.")


class SkipBody(StepBody):
    output = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="What later steps get in the place of its answer.",
    )


class RunNowBody(VerbBody):
    step = Text(max_length=100, required=False, help_text="Without it, all that wait for a time.")


class RetryBody(VerbBody):
    input = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text=f"The input from now on, up to {settings.SAGAS_MAX_INPUT_BYTES:,} bytes. It "
        "needs the permission sagas.edit_input_saga, and no outcome may be unknown.",
    )

    def fields_of(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"edited": (given["input"],)} if "input" in given else {}


class CompensateBody(VerbBody):
    steps = serializers.ListField(
        child=Text(max_length=100),
        required=False,
        min_length=1,
        help_text="Only these, in this order; without it all of them, last effect first.",
    )

    def fields_of(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"steps": tuple(given["steps"])} if "steps" in given else {}


class MoveBody(VerbBody):
    to_version = Number(min_value=1, help_text="The version of the definition to go on under.")

    def fields_of(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"version": given["to_version"]}


class SignalBody(Body):
    name = Text(max_length=100, help_text="Of the signal, as a step of the definition waits for.")
    data = serializers.JSONField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        default=None,
        help_text="What the step that takes it returns.",
    )
    message_id = Text(
        max_length=200,
        required=False,
        help_text="The same one counts once. Or use the Idempotency-Key header.",
    )


class SignalResult(serializers.Serializer[Any]):
    result = serializers.ChoiceField(choices=["recorded", "repeated"])
