"""Every page answers: to the right reader, with much or nothing to show, in few queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from sagas.models import Saga
from tests.api.builders import make_letter
from tests.builders import make_participant, make_step
from tests.console.builders import NOWHERE, make_message, make_operator, make_saga, words
from tests.outbox.builders import make_route

LISTS = [
    ("/", None),
    ("/sagas/", "sagas.view_saga"),
    ("/letters/", "dlq.view_deadletter"),
    ("/letters/all/", "dlq.view_deadletter"),
    ("/outbox/", "outbox.view_message"),
    ("/outbox/deliveries/", "outbox.view_message"),
    ("/outbox/messages/", "outbox.view_message"),
    ("/participants/", "sagas.view_participant"),
    ("/definitions/", "sagas.view_definition"),
    ("/audit/", "admin.view_logentry"),
]
DJANGO = [
    "/auth/user/",
    "/auth/user/add/",
    "/auth/group/",
    "/authtoken/tokenproxy/",
    "/django_celery_beat/periodictask/",
    "/outbox/route/add/",
    "/password_change/",
]


@pytest.mark.parametrize("path", [path for path, _ in LISTS] + DJANGO)
def test_page_answers_when_there_is_nothing_to_show(admin: Client, path: str) -> None:
    assert admin.get(path).status_code == 200


@pytest.mark.parametrize(("path", "permission"), LISTS)
def test_page_sends_a_stranger_to_the_login(
    client: Client, db: None, path: str, permission: Any
) -> None:
    response = client.get(path)

    assert response.status_code == 302
    assert response["Location"].startswith("/login/")


@pytest.mark.parametrize(("path", "permission"), LISTS[1:])
def test_page_is_refused_without_its_permission(db: None, path: str, permission: str) -> None:
    response = make_operator(name="nobody").get(path)

    assert response.status_code == 403
    assert "You may not do this" in words(response)
    assert make_operator(permission).get(path).status_code == 200


def test_sidebar_shows_only_places_that_the_reader_may_visit(db: None) -> None:
    response = make_operator("sagas.view_saga").get("/sagas/")

    assert [str(place.title) for place in response.context["places"]] == [
        "Overview",
        "Sagas",
        "Schedules",
    ]
    assert [str(place.title) for place in response.context["administration"]] == ["API"]


def test_missing_page_is_explained_inside_the_console(admin: Client) -> None:
    response = admin.get("/nothing-here/")

    assert response.status_code == 404
    assert "There is nothing here" in words(response)


@pytest.mark.parametrize(
    "path",
    [
        f"/sagas/{NOWHERE}/",
        f"/sagas/{NOWHERE}/retry/",
        f"/letters/{NOWHERE}/",
        f"/letters/{NOWHERE}/discard/",
        f"/outbox/messages/{NOWHERE}/",
        "/outbox/routes/none/",
        "/participants/none/",
        "/definitions/none/1/",
    ],
)
def test_page_of_a_missing_thing_is_not_found(admin: Client, path: str) -> None:
    assert admin.get(path).status_code == 404


def fill() -> dict[str, str]:
    """Make fifteen of everything; return the addresses of one page of each kind."""
    route = make_route()
    make_participant("Service", paused_at=timezone.now(), paused_by="ann")
    for n in range(15):
        saga = make_saga("failed", business_key=f"order-{n}")
        make_saga("running", business_key=f"moving-{n}")
        message = make_message(route, saga_id=saga.pk)
        letter = make_letter(saga_id=saga.pk)
    return {
        "saga": f"/sagas/{saga.pk}/",
        "retry": f"/sagas/{saga.pk}/retry/",
        "message": f"/outbox/messages/{message.pk}/",
        "letter": f"/letters/{letter.pk}/",
    }


# The session, the user and the two badges of the sidebar are four of each.
CEILINGS = {
    "/": 19,
    "/sagas/": 11,
    "/sagas/?q=order": 12,
    "/letters/": 6,
    "/letters/all/?status=open": 8,
    "/outbox/": 8,
    "/outbox/deliveries/": 7,
    "/outbox/messages/": 6,
    "/outbox/routes/test/": 10,
    "/participants/": 6,
    "/participants/Service/": 7,
    "/definitions/": 6,
    "/definitions/test/1/": 10,
    "/audit/": 8,
    "saga": 10,
    "retry": 6,
    "message": 8,
    "letter": 7,
}


def test_pages_stay_under_their_query_ceilings(
    admin: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    addresses = fill()

    for page, ceiling in CEILINGS.items():
        with django_assert_max_num_queries(ceiling):
            response = admin.get(addresses.get(page, page))
        assert response.status_code == 200, page


def test_pages_answer_in_korean(admin: Client) -> None:
    addresses = fill()

    for path in [*addresses.values(), *(path for path, _ in LISTS)]:
        assert admin.get(path, headers={"Accept-Language": "ko"}).status_code == 200, path


def test_saga_with_twelve_steps_and_hostile_words_is_shown_as_text(admin: Client) -> None:
    steps = (make_step("A"), make_step("B", participant="<b>x</b>"), *map(make_step, "CDEFGHIJKL"))
    saga = make_saga("failed", steps=steps, business_key="<script>alert(1)</script>")

    response = admin.get(f"/sagas/{saga.pk}/")

    assert b"<script>alert(1)" not in response.content
    assert b"<b>x</b>" not in response.content
    assert len(response.context["steps"]) == 12


def test_theme_is_kept_and_drawn_from_the_start(admin: Client) -> None:
    admin.post("/theme/", {"theme": "dark", "next": "/sagas/"})

    assert b'data-theme="dark"' in admin.get("/sagas/").content


def test_theme_is_not_chosen_by_a_link_and_leads_to_no_other_host(admin: Client) -> None:
    assert admin.get("/theme/?theme=dark").status_code == 405
    response = admin.post("/theme/", {"theme": "pink", "next": "https://elsewhere.test/"})

    assert response["Location"] == "/"
    assert "theme" not in response.cookies


def test_language_is_switched_from_the_header(admin: Client) -> None:
    admin.post("/i18n/setlang/", {"language": "ko", "next": "/"})

    assert b'<html lang="ko"' in admin.get("/").content


def test_page_loads_nothing_from_another_host(admin: Client) -> None:
    saga = make_saga("failed")

    for path in ("/", "/sagas/", f"/sagas/{saga.pk}/", "/auth/user/", "/login/"):
        body = admin.get(path, follow=True).content.decode()
        assert 'src="http' not in body, path
        assert '<link rel="stylesheet" href="http' not in body, path


def test_statuses_have_words_in_the_language_of_the_reader(admin: Client) -> None:
    with override("en"):
        labels = [str(label) for label in Saga.Status.labels]

    assert all(label.capitalize() in words(admin.get("/sagas/")) for label in labels)
