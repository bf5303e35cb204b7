"""Who may call what: one Django permission per action, readable in a table on each view."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

# "metadata" is what Django REST framework calls an OPTIONS request.
NO_ACTIONS = (None, "metadata")


class HasActionPermission(IsAuthenticated):
    """Demands the permission that the view's `permissions` name for its action, if any."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        # No action of the view: the method is not allowed, and is refused as such.
        if view.action in NO_ACTIONS:
            return True
        if permission := view.permissions[view.action]:
            demand(request, permission)
        return True


def demand(request: Request, permission: str) -> None:
    """Raise PermissionDenied, naming the permission, unless the caller has it."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(f"This needs the permission {permission}.")


def caller(request: Request) -> AbstractBaseUser:
    """Return who calls, in a view that only lets people in who are logged in."""
    return cast(AbstractBaseUser, request.user)
