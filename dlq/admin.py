"""What Django's admin needs to know of dead letters; their pages are in dlq.console."""

from django.contrib import admin

from dlq.models import DeadLetter
from outbox.admin import PlaceAdmin


@admin.register(DeadLetter)
class DeadLetterAdmin(PlaceAdmin):
    list_place = "admin:letter_groups"
    page_place = "admin:letter"
