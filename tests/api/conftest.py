from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient


@pytest.fixture
def api(db: None) -> APIClient:
    """A client that may do everything."""
    root = User.objects.create_superuser("root")
    return APIClient(headers={"Authorization": f"Token {Token.objects.create(user=root).key}"})


@pytest.fixture
def nobody(db: None) -> APIClient:
    """A client with a token and without any permission."""
    user = User.objects.create_user("nobody")
    return APIClient(headers={"Authorization": f"Token {Token.objects.create(user=user).key}"})
