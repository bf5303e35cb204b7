"""Drawings of definitions, in the operator's language and the page's colours."""

from __future__ import annotations

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from sagas.console.wording import KIND
from sagas.core.definition import Definition
from sagas.definitions.drawing import to_svg
from sagas.definitions.graphs import Words


def words() -> Words:
    """Return the words of a drawing."""
    return Words(
        pivot=str(KIND["pivot"]),
        retriable=str(KIND["retriable"]),
        undo=_("undo: {}"),
        condition=_("only if {}"),
        saga=_("saga {}"),
        wait=_("waits {}"),
        until=_("waits until {}"),
        signal=_("signal {}"),
        approval=_("approval"),
        approval_by=_("approval by {}"),
        at_most=_("at most {}"),
        lock=_("lock: {}"),
    )


def drawing(definition: Definition) -> SafeString:
    """Return the drawing of a definition for a page; whatever an author wrote is escaped."""
    return SafeString(to_svg(definition, words(), standalone=False))
