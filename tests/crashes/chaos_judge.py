"""What must hold after the chaos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from config.embedded.console import say
from dlq.models import DeadLetter
from sagas.checking import check_sagas, stuck_sagas
from sagas.management.commands.check_effects import compare
from sagas.models import Saga


def judge_all(starts: Path, data: Path) -> Iterator[str]:
    acknowledged = dict(line.split() for line in starts.read_text().splitlines())
    stored = {saga.business_key: str(saga.pk) for saga in Saga.objects.only("business_key")}
    report = compare(data)
    say(f"{len(acknowledged):,} starts acknowledged; {dict(report.sagas)}")
    yield from (f"the start {key} is lost" for key in acknowledged.keys() - stored.keys())
    yield from (
        f"{key} was acknowledged as {pk} and is {stored[key]}"
        for key, pk in acknowledged.items()
        if stored.get(key, pk) != pk
    )
    if Saga.objects.count() != len(acknowledged):
        yield f"{Saga.objects.count():,} sagas for {len(acknowledged):,} starts"
    yield from (f"{finding.business_key} {finding.what}" for finding in report.violations)
    yield from (
        f"{f.business_key}: {f.kind}: {f.message}" for f in (*check_sagas(), *stuck_sagas())
    )
    for letter in DeadLetter.objects.all()[:10]:
        yield f"a dead letter: {letter.destination} {letter.error_class} {letter.error_message}"
    for status in ("completed", "compensated"):
        if not report.sagas[status]:
            yield f"no saga is {status}"
