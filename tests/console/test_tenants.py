"""Tenants and priorities of sagas, as operators see them."""

from __future__ import annotations

import pytest
from django.test import Client

from sagas.engine.lanes import Priority
from sagas.starting import start
from tests.builders import store
from tests.console.builders import keys_on, words

pytestmark = pytest.mark.django_db


def test_a_saga_s_page_tells_its_tenant_and_priority(admin: Client) -> None:
    store()
    saga = start("test", {}, business_key="1", tenant="acme & co", priority=Priority.HIGH)

    page = admin.get(f"/sagas/{saga.saga_id}/")

    assert "Tenant acme & co" in words(page)
    assert "Priority high" in words(page)
    assert "?tenant=acme%20%26%20co" in page.content.decode()


def test_a_saga_of_nobody_with_the_usual_priority_says_nothing_of_it(admin: Client) -> None:
    store()
    saga = start("test", {}, business_key="1")

    page = words(admin.get(f"/sagas/{saga.saga_id}/"))

    assert "Tenant" not in page
    assert "Priority" not in page


def test_the_list_can_be_narrowed_to_a_tenant(admin: Client) -> None:
    store()
    for key, tenant in (("1", "acme"), ("2", "globex"), ("3", "acme")):
        start("test", {}, business_key=key, tenant=tenant)

    page = admin.get("/sagas/?tenant=acme")

    assert keys_on(page) == ["3", "1"]
    assert "Tenant" in words(page)
