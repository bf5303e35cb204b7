"""What is said of dead letters in English and stored, marked for translation."""

from __future__ import annotations

from django.utils.translation import gettext_noop

# As dlq.reprocessing says them of a letter that failed again.
FAILURES = (
    gettext_noop("Its delivery is not in the outbox any more."),
    gettext_noop("Nobody here takes letters of source %(source)s."),
)
