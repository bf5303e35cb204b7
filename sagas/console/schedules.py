"""The pages of schedules, and the dialogs that set, enable, disable and remove one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.pages import Question, ReasonForm, actor_of, ask, new_request_id, page, render_page
from sagas.console.lists import definition_names
from sagas.console.translating import translate_error
from sagas.console.wording import PRIORITY
from sagas.exceptions import SagaError, ScheduleNotFound
from sagas.scheduling import keeping
from sagas.scheduling.keeping import Schedule, Setting
from sagas.scheduling.plans import MOST_MADE_UP, PRIORITIES, schedules


class ScheduleForm(ReasonForm):
    """A schedule, and why it is set."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    definition = forms.ChoiceField(label=gettext_lazy("Definition"))
    business_key = forms.CharField(
        label=gettext_lazy("Business key"),
        max_length=200,
        help_text=gettext_lazy("{date}, {time} and {slot} stand for the time it starts at."),
    )
    input = forms.JSONField(label=gettext_lazy("Input"), required=False, initial=dict)
    cron = forms.CharField(
        label=gettext_lazy("Crontab"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("Minute, hour, day, month, weekday: 0 3 * * 1-5"),
    )
    every = forms.CharField(
        label=gettext_lazy("Or every"),
        required=False,
        max_length=20,
        help_text=gettext_lazy("An interval such as 15m, instead of a crontab."),
    )
    timezone = forms.CharField(label=gettext_lazy("Time zone"), initial="UTC", max_length=64)
    version = forms.IntegerField(
        label=gettext_lazy("Version"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("Empty: the newest."),
    )
    tenant = forms.CharField(label=gettext_lazy("Tenant"), required=False, max_length=200)
    priority = forms.ChoiceField(
        label=gettext_lazy("Priority"),
        required=False,
        choices=[
            ("", gettext_lazy("the definition’s own")),
            *((p, PRIORITY[p]) for p in PRIORITIES),
        ],
    )
    make_up = forms.IntegerField(
        label=gettext_lazy("Missed starts to make up"),
        initial=0,
        min_value=0,
        max_value=MOST_MADE_UP,
    )
    field_order = [*Setting._fields, "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in definition_names()]
        self.fields["definition"].choices = names  # type: ignore[attr-defined]

    def setting(self) -> Setting:
        return Setting(**{name: self.cleaned_data[name] for name in Setting._fields})


class Order(NamedTuple):
    """One thing that can be done with a schedule."""

    act: Callable[..., Any]
    button: Promise
    title: Promise
    consequence: Promise
    done: Promise


ORDERS = {
    "enable": Order(
        keeping.enable_schedule,
        gettext_lazy("Enable"),
        gettext_lazy("Enable the schedule %(name)s"),
        gettext_lazy("It starts sagas from its next time on; what it missed is not made up."),
        gettext_lazy("The schedule %(name)s is enabled."),
    ),
    "disable": Order(
        keeping.disable_schedule,
        gettext_lazy("Disable"),
        gettext_lazy("Disable the schedule %(name)s"),
        gettext_lazy("It starts nothing more; the sagas it has started go on."),
        gettext_lazy("The schedule %(name)s is disabled."),
    ),
    "remove": Order(
        keeping.remove_schedule,
        gettext_lazy("Remove"),
        gettext_lazy("Remove the schedule %(name)s"),
        gettext_lazy("It starts nothing more; the sagas it has started go on."),
        gettext_lazy("The schedule %(name)s is removed."),
    ),
}


@page("sagas.view_saga")
def schedule_list(request: HttpRequest) -> HttpResponse:
    context = {"title": _("Schedules"), "schedules": keeping.read_schedules()}
    return render_page(request, "console/schedule_list.html", context)


@page("sagas.view_saga")
def schedule_page(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = _read(schedule_id)
    context = {
        "title": schedule.row.name,
        "schedule": schedule,
        "slots": keeping.started_by(schedule),
    }
    return render_page(request, "console/schedule.html", context)


@require_http_methods(["GET", "POST"])
@page("sagas.view_saga")
def schedule_set(request: HttpRequest) -> HttpResponse:
    _demand(request)
    given = request.POST if request.method == "POST" else None
    form = ScheduleForm(given, initial=_initial(request.GET.get("name", "")))
    error = ""
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            keeping.set_schedule(form.setting(), actor=actor_of(request), reason=reason)
        except SagaError as refusal:
            error = translate_error(refusal)
        else:
            messages.success(request, _("The schedule is set."))
            return HttpResponseRedirect(reverse("admin:schedule_list"))
    question = Question(
        title=_("Set a schedule"),
        form=form,
        button=_("Set the schedule"),
        back=reverse("admin:schedule_list"),
        consequences=[_("Another schedule of this name is changed.")],
        error=error,
    )
    return ask(request, question, status=400 if form.errors or error else 200)


@require_http_methods(["GET", "POST"])
@page("sagas.view_saga")
def schedule_order(request: HttpRequest, schedule_id: int, order: str) -> HttpResponse:
    _demand(request)
    name = _read(schedule_id).row.name
    wanted = ORDERS[order]
    initial = {"request_id": new_request_id()}
    form = ReasonForm(request.POST if request.method == "POST" else None, initial=initial)
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            wanted.act(name, actor=actor_of(request), reason=form.cleaned_data["reason"])
        except SagaError as refusal:
            error = translate_error(refusal)
        else:
            messages.success(request, wanted.done % {"name": name})
            return HttpResponseRedirect(reverse("admin:schedule_list"))
    question = Question(
        title=wanted.title % {"name": name},
        form=form,
        button=str(wanted.button),
        back=reverse("admin:schedule_list"),
        consequences=[str(wanted.consequence)],
        error=error,
        is_dangerous=order != "enable",
    )
    return ask(request, question, status=400 if form.errors or error else 200)


def _read(schedule_id: int) -> Schedule:
    row = schedules().filter(pk=schedule_id).first()
    if row is None:
        raise Http404(_("There is no such schedule."))
    return keeping.find_schedule(row.name)


def _initial(name: str) -> dict[str, Any]:
    """Return what the dialog begins with: the schedule that the address names, if there is one."""
    initial: dict[str, Any] = {"request_id": new_request_id(), "name": name}
    try:
        schedule = keeping.find_schedule(name)
    except ScheduleNotFound:
        return initial
    if schedule.plan is not None:
        initial |= schedule.plan._asdict()
    if schedule.row.crontab is not None:
        return initial | {"cron": schedule.when, "timezone": schedule.zone}
    return initial | {"every": f"{schedule.row.interval.every}s"}


def _demand(request: HttpRequest) -> None:
    if not request.user.has_perm("sagas.start_saga"):
        raise PermissionDenied
