"""Drop the calls that nobody can repeat any more."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sagas.barrier.purging import DEFAULT_BUDGET_S, purge_handled


class Command(BaseCommand):
    help = "Delete the barrier's rows that are older than SAGAS_BARRIER_KEEP_DAYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seconds", type=float, default=DEFAULT_BUDGET_S, help="stop after this time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{purge_handled(budget_s=options['seconds']):,} calls forgotten.")
