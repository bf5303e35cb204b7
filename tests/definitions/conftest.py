import pytest

from sagas.definitions import python_format


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    """The sagas of one test are unknown to the next."""
    monkeypatch.setattr(python_format, "_declared", {})
