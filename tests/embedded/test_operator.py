from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def ensure_operator() -> str:
    out = StringIO()
    call_command("ensure_operator", stdout=out)
    return out.getvalue()


def test_the_first_operator_gets_a_password_that_works() -> None:
    said = ensure_operator()

    password = said.split("password ")[1].split()[0]
    operator = authenticate(username="operator", password=password)
    assert operator is not None
    assert operator.is_superuser


def test_a_superuser_who_is_there_is_left_alone() -> None:
    User.objects.create_superuser("ann", password="secret")

    said = ensure_operator()

    assert "Log in as ann" in said
    assert not User.objects.filter(username="operator").exists()
    assert authenticate(username="ann", password="secret") is not None
