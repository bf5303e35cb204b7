"""The pages of participants, and the dialogs that pause and resume one."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.console.dialogs import Dialog, ask_and_do
from outbox.console.pausing import pausing, resuming
from outbox.models import Route
from outbox.pages import page, render_page
from sagas import catalogue
from sagas.core.definition import Step
from sagas.models import Definition, Participant
from sagas.participants.commands import command_type, takers
from sagas.participants.directory import pause_participant, resume_participant
from sagas.participants.figures import MINUTES, Condition, names_of, read_conditions
from sagas.waiting import waiting

LIST_CAP = 500


class ParticipantLine(NamedTuple):
    row: Participant
    # None while Redis is away.
    condition: Condition | None


class Use(NamedTuple):
    """A step that a participant performs."""

    definition: Definition
    step: Step


@page("sagas.view_participant")
def participant_list(request: HttpRequest) -> HttpResponse:
    rows = list(Participant.objects.order_by("name")[:LIST_CAP])
    conditions = read_conditions(names_of(rows)) or {}
    context = {
        "title": _("Participants"),
        "lines": [ParticipantLine(row, conditions.get(row.name)) for row in rows],
        "minutes": MINUTES,
        "waiting": [row for row in waiting() if not row.is_definition],
    }
    return render_page(request, "console/participant_list.html", context)


class Post(NamedTuple):
    """Which routes take a participant's commands, and which commands none takes."""

    routes: list[Route]
    lost: list[str]

    @classmethod
    def of(cls, name: str, uses: list[Use]) -> Post:
        routes = list(Route.objects.order_by("name"))
        actions = {action for use in uses for action in (use.step.action, use.step.compensation)}
        wanted = sorted(filter(None, actions)) or [""]
        taken = {action: takers(routes, name, action) for action in wanted}
        used = {route.pk: route for found in taken.values() for route in found}
        lost = [command_type(name, action or "*") for action in wanted if not taken[action]]
        return cls(list(used.values()), lost)


@page("sagas.view_participant")
def participant_page(request: HttpRequest, name: str) -> HttpResponse:
    participant = read_participant(name)
    conditions = read_conditions(names_of([participant])) or {}
    uses = _uses(participant.name)
    by_message = participant.transport == Participant.Transport.MESSAGE
    context = {
        "title": participant.name,
        "participant": participant,
        "api_problems": participant.api_problems() if participant.api is not None else [],
        "post": Post.of(name, uses) if by_message else None,
        "replies_stream": settings.SAGAS_REPLIES_STREAM,
        "condition": conditions.get(name),
        "minutes": MINUTES,
        "uses": uses,
        "waiting": waiting(participants=[name]),
    }
    return render_page(request, "console/participant.html", context)


@require_http_methods(["GET", "POST"])
@page("sagas.view_participant")
def participant_pause(request: HttpRequest, name: str) -> HttpResponse:
    return ask_about(request, name, PAUSE)


@require_http_methods(["GET", "POST"])
@page("sagas.view_participant")
def participant_resume(request: HttpRequest, name: str) -> HttpResponse:
    return ask_about(request, name, RESUME)


PAUSE = pausing(
    "sagas.pause_participant",
    pause_participant,
    consequence=gettext_lazy(
        "No new call goes to %(name)s. Sagas that need it wait, without spending attempts; "
        "calls in flight finish."
    ),
    done=gettext_lazy("%(name)s is paused."),
)
RESUME = resuming(
    "sagas.pause_participant",
    resume_participant,
    consequence=gettext_lazy("The sagas that wait for %(name)s go on."),
    done=gettext_lazy("%(name)s is called again."),
)


def ask_about(request: HttpRequest, name: str, dialog: Dialog) -> HttpResponse:
    """Ask for a reason, or do with the participant of this name what the dialog is for."""
    participant = read_participant(name)
    default = reverse("admin:participant", args=[name])
    return ask_and_do(request, participant, dialog, default=default)


def read_participant(name: str) -> Participant:
    participant = Participant.objects.filter(name=name).first()
    if participant is None:
        raise Http404(_("There is no such participant."))
    return participant


def _uses(name: str) -> list[Use]:
    """Return the steps of the newest definitions that this participant performs."""
    newest = (
        Definition.objects.filter(spec__steps__contains=[{"participant": name}])
        .order_by("name", "-version")
        .distinct("name")
    )
    rows = {definition.pk: definition for definition in newest[:LIST_CAP]}
    return [
        Use(rows[pk], step)
        for pk, definition in catalogue.readable(set(rows)).items()
        for step in definition.steps
        if step.participant == name
    ]
