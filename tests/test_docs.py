"""What the documents promise: links lead somewhere, every setting and journal entry is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagas.core.journal import Kind

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    PROJECT / "examples" / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
SCREENSHOTS = PROJECT / "docs" / "screenshots"
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert [link for link in relative_links(document) if not resolves(document, link)] == []


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `(SAGADESK_[A-Z_]+)`", read_doc("settings.md"), re.MULTILINE))

    assert documented == set(variables_read())


def test_every_kind_of_journal_entry_is_explained() -> None:
    explained = re.findall(r"^\| `([a-z_]+)` \|", read_doc("life-of-a-saga.md"), re.MULTILINE)

    assert sorted(explained) == sorted(Kind)


def relative_links(document: Path) -> list[str]:
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def resolves(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    # The pictures are taken by `make screenshots`; a checkout may be without them.
    if target.parent == SCREENSHOTS and not SCREENSHOTS.exists():
        return True
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target)


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in words}


def variables_read() -> Iterator[str]:
    """Give the variables that settings, launcher and compose file take from the environment."""
    sources = [PROJECT / "config" / "settings.py", *(PROJECT / "config" / "embedded").glob("*.py")]
    for source in sources:
        yield from re.findall(r'"(SAGADESK_[A-Z_]+)"', source.read_text(encoding="utf-8"))
    compose = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    yield from re.findall(r"\$\{(SAGADESK_[A-Z_]+)", compose)


def read_doc(name: str) -> str:
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")
