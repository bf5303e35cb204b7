"""Versions of saga types."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from sagas.core import definition as core
from sagas.exceptions import DefinitionUnreadable


class Definition(models.Model):
    """A version of a saga type; never changed, so that running sagas stay on what they began."""

    class Format(models.TextChoices):
        YAML = "yaml", "YAML"
        PYTHON = "python", "Python"

    name = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    format = models.CharField(max_length=10, choices=Format)
    # As its author wrote it; empty for a Python class.
    source = models.TextField(blank=True)
    # core.definition.to_spec(), and the SHA-256 of its canonical JSON.
    spec = models.JSONField()
    checksum = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("definition")
        verbose_name_plural = _("definitions")
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="sagas_definition_version"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def as_core(self) -> core.Definition:
        """Return the definition as the engine's core knows it.

        Raises DefinitionUnreadable for what only a newer release can read.
        """
        try:
            return core.from_spec(self.spec, version=self.version)
        except (KeyError, TypeError, ValueError) as error:
            raise DefinitionUnreadable(self.name, self.version, str(error)) from error
