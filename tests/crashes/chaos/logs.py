"""What the programs of the console have said on their logs that should never be said.

Redis and the database being away is foreseen: a warning tells it. An error of our own code is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ERROR = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL) (?:sagas|outbox|dlq|config)\b.*$", re.MULTILINE)


def complaints(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*.log*")):
        for line in ERROR.findall(file.read_text(errors="replace")):
            yield f"{file.name}: {line}"
