from tests.outbox.fixtures import *  # noqa: F403 — fixtures are found by name
from tests.outbox.fixtures import _clean_outbox  # noqa: F401
