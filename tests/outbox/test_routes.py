from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import LogEntry

from outbox.exceptions import RouteNotFound
from outbox.routes import pause_route, resume_route
from tests.outbox.builders import make_route

pytestmark = pytest.mark.django_db


def test_pausing_says_who_and_why(admin_user):
    route = make_route()

    assert pause_route(route, actor=admin_user, reason="maintenance")

    route.refresh_from_db()
    assert route.paused_at
    assert (route.paused_by, route.pause_reason) == ("admin", "maintenance")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (admin_user, "test")
    assert json.loads(entry.change_message) == {"verb": "pause", "reason": "maintenance"}


def test_pausing_a_paused_route_changes_nothing(admin_user):
    route = make_route()
    pause_route(route, actor=None, reason="first")

    assert not pause_route(route, actor=admin_user, reason="second")

    route.refresh_from_db()
    assert (route.paused_by, route.pause_reason) == ("system", "first")
    assert not LogEntry.objects.exists()


def test_resuming_clears_the_pause_and_wakes_the_relay(
    admin_user, redis_server, django_capture_on_commit_callbacks
):
    route = make_route()
    pause_route(route, actor=None, reason="maintenance")

    with django_capture_on_commit_callbacks(execute=True):
        assert resume_route(route, actor=admin_user, reason="done")

    route.refresh_from_db()
    assert (route.paused_at, route.paused_by, route.pause_reason) == (None, "", "")
    assert LogEntry.objects.count() == 1
    assert redis_server.llen("sagadesk") == 1


def test_resuming_a_route_that_is_not_paused_changes_nothing(admin_user):
    assert not resume_route(make_route(), actor=admin_user)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("verb", [pause_route, resume_route])
def test_a_route_that_does_not_exist_is_named(verb):
    with pytest.raises(RouteNotFound, match="no route nowhere"):
        verb("nowhere", actor=None, reason="x")
