"""docs/testing-sagas.md shows what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path("docs/testing-sagas.md")
[SOURCE] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", re.findall(r"def (test_\w+)", SOURCE))
def test_every_test_of_the_document_passes(name: str) -> None:
    names: dict[str, object] = {}
    exec(compile(SOURCE, str(DOCUMENT), "exec"), names)

    names[name]()  # type: ignore[operator]
