"""Fields of the dialogs of verbs: JSON that is edited, and steps in an order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _


class PrettyJsonField(forms.JSONField):
    """JSON, indented for whoever edits it; nothing stands for null."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput):
            return value
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


class OrderWidget(forms.Widget):
    """A number per step: its place in the order; empty for what is left as it is."""

    names: Sequence[str] = ()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        places: Mapping[str, Any] = value or {}
        rows = format_html_join(
            "",
            '<label class="place"><input type="number" name="{}" value="{}" min="1" max="{}">'
            "<span>{}</span></label>",
            (
                (f"{name}.{step}", places.get(step, ""), len(self.names), step)
                for step in self.names
            ),
        )
        return format_html('<div class="places" id="id_{}">{}</div>', name, rows)

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        places = {step: data.get(f"{name}.{step}") for step in self.names}
        if all(place is None for place in places.values()):
            return None
        return {step: (place or "").strip() for step, place in places.items()}


class OrderField(forms.Field):
    """The names of steps in the order chosen."""

    widget = OrderWidget

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return {step: place for place, step in enumerate(value, start=1)}
        return value

    def clean(self, value: Any) -> tuple[str, ...]:
        if value is None:
            # Sent without: nobody has chosen.
            return ()
        places = {step: place for step, place in value.items() if place}
        numbers = set(places.values())
        if not places:
            raise ValidationError(_("Choose at least one step."))
        if len(numbers) < len(places) or not all(number.isdecimal() for number in numbers):
            raise ValidationError(_("Number the steps 1, 2, 3; each number only once."))
        return tuple(sorted(places, key=lambda step: int(places[step])))
