"""What holds at the end of every test that stores sagas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagas.checking import check_sagas
from tests.sagas.http_service import HttpService, http_service


@pytest.fixture(autouse=True)
def _journals_tell_all(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every saga's row is the fold of its journal, whatever the test did to it."""
    yield
    if request.node.get_closest_marker("django_db"):
        assert list(check_sagas()) == []


@pytest.fixture
def service() -> Iterator[HttpService]:
    """A real HTTP service on a free port, that every definition's "Service" may be."""
    with http_service() as service:
        yield service
