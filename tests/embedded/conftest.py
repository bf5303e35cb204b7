from collections.abc import Iterator

import pytest

from config.embedded.home import Home, make_temporary_home, remove_home


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Home]:
    """A home whose cluster is made once; every test leaves its servers stopped."""
    home = make_temporary_home()
    yield home
    remove_home(home)


@pytest.fixture
def home(shared_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The shared home, in an environment that names it and no servers."""
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("SAGADESK_HOME", str(shared_home.root))
    return shared_home
