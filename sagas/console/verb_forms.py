"""What the dialogs of verbs ask for beside a reason, and the details that come of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.pages import ReasonForm
from sagas.console.verb_fields import OrderField, PrettyJsonField
from sagas.core import definition as core
from sagas.core.mapping import input_of
from sagas.core.state import SagaState
from sagas.core.verbs import Verb, steps_of, steps_to_compensate, why_not_edit
from sagas.models import Saga
from sagas.verbs import EDIT_INPUT, MAX_EDITIONS, Details

# A longer input is no pleasure to edit in a page; the API takes it.
LONGEST_EDITED = 40_000


class VerbForm(ReasonForm):
    """Why, for one saga. Subclasses ask for more.

    `seen` says for which choice the plan in the dialog was made: what nobody has seen the
    consequences of is not carried out, but shown first.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    order: ClassVar[list[str]] = []

    def details(self) -> Details:
        """Return what was chosen; of a form that was not sent, what is chosen at first."""
        return Details()

    def value(self, name: str) -> Any:
        """Return a checked field, or what it says at first."""
        return self.cleaned_data[name] if self.is_bound else self.initial.get(name)

    @property
    def offers_choice(self) -> bool:
        """Say whether the consequences depend on what is chosen here."""
        return False

    @property
    def is_choice_readable(self) -> bool:
        return not self.is_bound or not self.errors.keys() & set(self.order)

    def choice(self) -> str:
        """Return what was chosen, as a short text; nothing for what needs no choice."""
        details = self.details()
        if not self.offers_choice or details == Details():
            return ""
        text = json.dumps(details, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


class StepForm(VerbForm):
    """Which step."""

    step = forms.ChoiceField(label=gettext_lazy("Step"))
    order: ClassVar[list[str]] = ["step"]

    def offer(self, names: Sequence[str]) -> None:
        choices = [(name, name) for name in names]
        self.fields["step"].choices = choices  # type: ignore[attr-defined]
        self.initial["step"] = self.initial.get("step") or (names[0] if names else "")

    def details(self) -> Details:
        return Details(step=self.value("step"))

    @property
    def offers_choice(self) -> bool:
        return len(self.fields["step"].choices) > 1  # type: ignore[attr-defined]


class RunNowForm(StepForm):
    """Which step, or all that wait."""

    step = forms.ChoiceField(label=gettext_lazy("Step"), required=False)

    def offer(self, names: Sequence[str]) -> None:
        everything = [("", _("All that wait for their time"))] if len(names) > 1 else []
        choices = [*everything, *((name, name) for name in names)]
        self.fields["step"].choices = choices  # type: ignore[attr-defined]


class SkipForm(StepForm):
    """Which step, and what those after it are told that it returned."""

    output = PrettyJsonField(
        label=gettext_lazy("Output (optional)"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}),
        help_text=gettext_lazy("JSON that later steps get in the place of its answer."),
    )
    order: ClassVar[list[str]] = ["step", "output"]

    def details(self) -> Details:
        return Details(step=self.value("step"), output=self.value("output"))


class MarkDoneForm(StepForm):
    """Which step was undone by hand, and what proves it."""

    evidence = forms.CharField(
        label=gettext_lazy("Evidence"),
        max_length=1000,
        help_text=gettext_lazy(
            "What proves it: a ticket, a booking number, a screenshot’s address."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    order: ClassVar[list[str]] = ["step", "evidence"]

    def details(self) -> Details:
        return Details(step=self.value("step"), evidence=self.value("evidence") or "-")

    @property
    def offers_choice(self) -> bool:
        # No call is made, whichever it is.
        return False


class RetryForm(VerbForm):
    """Maybe another input."""

    input = PrettyJsonField(
        label=gettext_lazy("Edit the input"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "code", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "JSON. Steps that are done keep what they were given; what fails is given this, with a "
            "new key."
        ),
    )
    order: ClassVar[list[str]] = ["input"]
    before: Any = None

    def offer(self, input: Any) -> None:
        self.before = input
        self.fields["input"].folded = True  # type: ignore[attr-defined]
        self.initial.setdefault("input", input)

    def details(self) -> Details:
        edited = self.value("input") if "input" in self.fields else None
        return Details() if edited in (None, self.before) else Details(edited=(edited,))

    @property
    def offers_choice(self) -> bool:
        return "input" in self.fields


class MoveForm(VerbForm):
    """Which version."""

    target = forms.TypedChoiceField(label=gettext_lazy("Version"), coerce=int)
    order: ClassVar[list[str]] = ["target"]

    def offer(self, versions: Sequence[int]) -> None:
        self.fields["target"].choices = [(n, f"v{n}") for n in versions]  # type: ignore[attr-defined]
        self.initial.setdefault("target", versions[0] if versions else None)

    def details(self) -> Details:
        version = self.value("target")
        return Details(version=None if version is None else int(version))

    @property
    def offers_choice(self) -> bool:
        return len(self.fields["target"].choices) > 1  # type: ignore[attr-defined]


class AbandonForm(VerbForm):
    """The business key once more, because there is no way back."""

    confirm = forms.CharField(
        label=gettext_lazy("Type the business key to confirm"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expected = ""

    def offer(self, business_key: str) -> None:
        self.expected = business_key

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed.strip() != self.expected.strip():
            raise ValidationError(_("That is not “%(key)s”."), params={"key": self.expected})
        return typed


class CompensateForm(VerbForm):
    """Which steps, in which order; all of them, the last one first, unless somebody chooses."""

    steps = OrderField(
        label=gettext_lazy("Choose steps and their order"),
        help_text=gettext_lazy("Empty: its effect is left as it is, for now."),
    )
    order: ClassVar[list[str]] = ["steps"]
    names: Sequence[str] = ()

    def offer(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.fields["steps"].folded = True  # type: ignore[attr-defined]
        self.fields["steps"].widget.names = self.names
        self.initial.setdefault("steps", self.names)

    def details(self) -> Details:
        chosen = self.value("steps") if "steps" in self.fields else ()
        return Details() if chosen in ((), self.names) else Details(steps=chosen)

    @property
    def offers_choice(self) -> bool:
        return "steps" in self.fields


FORMS: dict[Verb, type[VerbForm]] = {
    Verb.RETRY: RetryForm,
    Verb.COMPENSATE: CompensateForm,
    Verb.MARK_DONE: MarkDoneForm,
    Verb.SKIP: SkipForm,
    Verb.REWIND: StepForm,
    Verb.RUN_NOW: RunNowForm,
    Verb.MOVE: MoveForm,
    Verb.ABANDON: AbandonForm,
    Verb.APPROVE: StepForm,
    Verb.REJECT: StepForm,
}


@dataclass(frozen=True)
class Asked:
    """Of which saga a form asks, and who is asked."""

    saga: Saga
    definition: core.Definition
    state: SagaState
    user: Any

    def names(self, places: Sequence[int]) -> list[str]:
        return [self.definition.steps[place].name for place in places]


def make_form(
    verb: Verb,
    asked: Asked,
    data: QueryDict | None,
    initial: dict[str, Any],
    versions: Sequence[int] = (),
) -> VerbForm:
    """Return the form of a verb, offering what can be chosen for this saga now."""
    form = FORMS.get(verb, VerbForm)(data, initial=initial)
    if isinstance(form, StepForm):
        form.offer(asked.names(steps_of(verb, asked.definition, asked.state)))
    elif isinstance(form, MoveForm):
        form.offer(versions)
    elif isinstance(form, AbandonForm):
        form.offer(asked.saga.business_key)
    elif isinstance(form, CompensateForm):
        _offer_order(form, asked)
    elif isinstance(form, RetryForm):
        _offer_edit(form, asked)
    form.order_fields([*form.order, "reason"])
    if data is not None and "preview" in data:
        # Only what is chosen matters for that.
        for name in form.fields.keys() - set(form.order):
            form.fields[name].required = False
    return form


def _offer_order(form: CompensateForm, asked: Asked) -> None:
    names = asked.names(steps_to_compensate(asked.definition, asked.state))
    if len(names) > 1:
        form.offer(names)
    else:
        del form.fields["steps"]


def _offer_edit(form: RetryForm, asked: Asked) -> None:
    """Let somebody who may edit the input, where another one would not do something twice."""
    state = asked.state
    if (
        asked.user.has_perm(EDIT_INPUT)
        and why_not_edit(state) is None
        and len(state.editions) < MAX_EDITIONS
    ):
        input = input_of(state, asked.saga.start.input)
        if len(json.dumps(input, ensure_ascii=False)) <= LONGEST_EDITED:
            form.offer(input)
            return
    del form.fields["input"]
