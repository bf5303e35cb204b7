"""Text can be read: the stylesheet's colours against what they stand on (WCAG 2.2, level AA)."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from config import settings

CSS = Path(settings.BASE_DIR, "static", "console.css").read_text()
SCHEMES = ("light", "dark")
# The ratio that text of the console's sizes needs.
ENOUGH = 4.5
GROUNDS = ("ground", "raised", "sunken", "side", "hover", "accent-soft")
TONES = ("good", "bad", "warn", "active", "undo", "undone", "quiet", "accent")


def colours(scheme: str) -> dict[str, str]:
    """Return the colours that are named for a scheme, as #rrggbb."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS)
    return {name: (light, dark)[SCHEMES.index(scheme)] for name, light, dark in pairs}


def contrast(one: str, other: str) -> float:
    """Return the ratio between two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(part * light for part, light in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def too_faint(scheme: str, pairs: list[tuple[str, str]]) -> list[str]:
    named = colours(scheme) | {"white": "#ffffff"}
    ratios = {pair: contrast(named[pair[0]], named[pair[1]]) for pair in pairs}
    return [f"{a} on {b}: {r:.2f}" for (a, b), r in ratios.items() if r < ENOUGH]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_marks_of_steps_that_are_to_come_can_be_seen(scheme: str) -> None:
    named = colours(scheme)

    assert all(contrast(named["mark"], named[ground]) >= 3 for ground in ("raised", "hover"))


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_can_be_read_on_every_ground(scheme: str) -> None:
    assert too_faint(scheme, list(product(("text", "muted", "faint"), GROUNDS))) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tones_can_be_read_on_the_page_and_on_their_own_ground(scheme: str) -> None:
    pairs = [*product(TONES, ("ground", "raised", "hover")), *((t, f"{t}-soft") for t in TONES)]

    assert too_faint(scheme, pairs) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_notices_and_filled_buttons_can_be_read(scheme: str) -> None:
    notices = product(("text", "muted", "accent"), [f"{tone}-soft" for tone in TONES])
    buttons = [("white", "accent-fill"), ("white", "bad-fill")]

    assert too_faint(scheme, [*notices, *buttons]) == []
