import pytest

from tests.servers import choose_database


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock?db=2"),
        ("unix:///run/valkey.sock?db=3", "unix:///run/valkey.sock?db=5"),
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/2"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/3"),
    ],
)
def test_every_worker_has_a_redis_database_of_its_own(url: str, expected: str) -> None:
    assert choose_database(url, "gw2") == expected


def test_more_workers_than_databases_are_refused() -> None:
    with pytest.raises(pytest.UsageError, match="fewer workers"):
        choose_database("redis://127.0.0.1:6379/0", "gw16")
