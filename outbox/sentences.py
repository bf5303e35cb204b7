"""Sentences that are stored in English, in the reader's language.

Journals, dead letters and refusals keep what the engine said in English, for programs and for
readers of any language. Each app marks its own sentences (`gettext_noop`), with `%(name)s` for what
is put into them, and registers those that pages of other apps show as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

# In a sentence that was escaped for a pattern.
_GAP = re.compile(r"%\\\((\w+)\\\)s")


class Sentences:
    """Finds a marked sentence again, with what was put into its gaps.

    `words` says of some gaps how what stands in them is shown; `shapes` what may stand there, as a
    pattern.
    """

    def __init__(
        self,
        marked: Sequence[str],
        *,
        words: Mapping[str, Callable[[str], Any]] | None = None,
        shapes: Mapping[str, str] | None = None,
    ) -> None:
        self._words = words or {}
        self._patterns = [(_pattern(text, shapes or {}), text) for text in marked]

    def translate(self, text: str) -> str | None:
        """Return the text in the reader's language, or None for one that is none of these."""
        for pattern, sentence in self._patterns:
            match = pattern.fullmatch(text)
            if match is not None:
                return _(sentence) % {
                    name: self._words[name](word) if name in self._words else word
                    for name, word in match.groupdict().items()
                }
        return None


def _pattern(text: str, shapes: Mapping[str, str]) -> re.Pattern[str]:
    def gap(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{shapes.get(match[1], '.+')})"

    return re.compile(_GAP.sub(gap, re.escape(text)), re.DOTALL)


# As a relay says them of a route's outage.
OUTAGES = (
    gettext_noop("Redis cannot be reached: %(why)s"),
    gettext_noop("Redis takes nothing: %(why)s"),
    gettext_noop("This relay knows no transport %(transport)s."),
)

_stored = [Sentences(OUTAGES)]


def register_sentences(sentences: Sentences) -> None:
    """Let every page know sentences that are stored."""
    _stored.append(sentences)


def speak(text: str) -> str:
    """Return a stored text in the reader's language; what others said is left as it is."""
    for sentences in _stored:
        spoken = sentences.translate(text)
        if spoken is not None:
            return spoken
    return text
