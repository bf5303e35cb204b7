import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

NAME = "operator"


class Command(BaseCommand):
    help = "Make a first superuser with a random password, unless there is a superuser already."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()._default_manager
        superuser = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if superuser:
            self.stdout.write(
                f"Log in as {superuser.get_username()} "
                f"(new password: manage.py changepassword {superuser.get_username()})"
            )
            return
        password = secrets.token_urlsafe(12)
        with transaction.atomic():
            user, _ = users.get_or_create(username=NAME)
            user.is_superuser = user.is_staff = user.is_active = True
            user.set_password(password)
            user.save()
        self.stdout.write(f"Log in as {NAME} with the password {password} (shown only this once)")
