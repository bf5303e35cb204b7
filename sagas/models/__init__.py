"""What the engine stores, by concept. The journal is the truth; the saga row is its snapshot."""

from sagas.models.definitions import Definition
from sagas.models.locks import LockWait, SagaLock
from sagas.models.orders import AwaitedDecision, VerbRequest
from sagas.models.participants import Participant
from sagas.models.retention import ArchivedSaga, RetentionRule
from sagas.models.sagas import JournalEntry, Saga, SagaStart

__all__ = [
    "ArchivedSaga",
    "AwaitedDecision",
    "Definition",
    "JournalEntry",
    "LockWait",
    "Participant",
    "RetentionRule",
    "Saga",
    "SagaLock",
    "SagaStart",
    "VerbRequest",
]
