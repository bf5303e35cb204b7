"""The dialogs that reprocess or discard dead letters: one, what was ticked, or a batch."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from dlq.console.lists import filter_letters, read_filters, read_letter
from dlq.exceptions import LetterChanged, LetterSettled
from dlq.models import DeadLetter
from dlq.reprocessing import BatchResult, Outcome, discard, reprocess, reprocess_batch
from outbox.pages import (
    OptionalReasonForm,
    Question,
    ReasonForm,
    actor_of,
    address_to_return_to,
    ask,
    new_request_id,
    page,
    render_page,
)
from outbox.paging import count_up_to
from outbox.sentences import speak

MOST_AT_ONCE = 1000

WORDS = {
    Outcome.QUEUED: (gettext_lazy("on its way"), "reprocessing"),
    Outcome.RECOVERED: (gettext_lazy("recovered"), "recovered"),
    Outcome.FAILED: (gettext_lazy("failed again"), "failed"),
    Outcome.DISCARDED: (gettext_lazy("discarded"), "discarded"),
    Outcome.REPEATED: (gettext_lazy("done before"), "done"),
    Outcome.CHANGED: (gettext_lazy("changed meanwhile"), "conflict"),
    Outcome.SETTLED: (gettext_lazy("not open any more"), "illegal"),
    Outcome.MISSING: (gettext_lazy("gone"), "missing"),
}


class BatchForm(OptionalReasonForm):
    """Which open letters are tried again, and how many."""

    destination = forms.CharField(label=gettext_lazy("Destination"), required=False)
    fingerprint = forms.CharField(required=False, widget=forms.HiddenInput)
    limit = forms.IntegerField(
        label=gettext_lazy("How many at most, oldest first"),
        min_value=1,
        max_value=MOST_AT_ONCE,
        initial=100,
    )
    field_order = ["destination", "limit", "reason"]


@require_http_methods(["GET", "POST"])
@page("dlq.view_deadletter")
def letter_reprocess(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    return _one(request, letter_id, discards=False)


@require_http_methods(["GET", "POST"])
@page("dlq.view_deadletter")
def letter_discard(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    return _one(request, letter_id, discards=True)


def _one(request: HttpRequest, letter_id: UUID, *, discards: bool) -> HttpResponse:
    _check_permission(request, discards)
    letter = read_letter(letter_id)
    back = address_to_return_to(request, reverse("admin:letter", args=[letter_id]))
    kind = ReasonForm if discards else OptionalReasonForm
    fresh = {"request_id": new_request_id(), "version": letter.version}
    form = kind(request.POST if request.method == "POST" else None, initial=fresh)
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            outcome, detail = _settle_one(request, letter, form, discards=discards)
        except (LetterChanged, LetterSettled) as refusal:
            error = _why_refused(refusal)
            letter = read_letter(letter_id)
            reason = form.cleaned_data["reason"]
            form = kind(initial=fresh | {"version": letter.version, "reason": reason})
        else:
            text = f"{letter}: {WORDS[outcome][0]}"
            level = messages.WARNING if outcome == Outcome.FAILED else messages.SUCCESS
            messages.add_message(request, level, f"{text} — {detail}" if detail else text)
            return HttpResponseRedirect(back)
    question = _question(letter, form, back, discards=discards)
    question.error = error or question.error
    return ask(request, question, status=409 if error else 400 if form.errors else 200)


def _why_refused(refusal: LetterChanged | LetterSettled) -> str:
    status = DeadLetter.Status(refusal.status).label
    if isinstance(refusal, LetterSettled):
        return _("It is not open; it is %(status)s.") % {"status": status}
    words = _(
        "The dead letter has changed since it was shown (version %(seen)d, now %(found)d); "
        "it is %(status)s."
    )
    return words % {"seen": refusal.seen, "found": refusal.version, "status": status}


def _settle_one(
    request: HttpRequest, letter: DeadLetter, form: forms.Form, *, discards: bool
) -> tuple[Outcome, str]:
    given = form.cleaned_data
    act = discard if discards else reprocess
    result = act(
        letter.pk,
        actor=actor_of(request),
        reason=given["reason"],
        version=given["version"],
        request_id=given["request_id"],
    )
    item = result.items[0] if isinstance(result, BatchResult) else result
    return item.outcome, _told(item.detail)


def _told(detail: str) -> str:
    """Return why a letter failed again, as "class: message", in the reader's language."""
    error_class, separator, message = detail.partition(": ")
    return f"{error_class}{separator}{speak(message)}"


def _question(letter: DeadLetter, form: forms.Form, back: str, *, discards: bool) -> Question:
    is_open = letter.status == DeadLetter.Status.OPEN
    if discards:
        consequences = [
            _("It is given up for good. What was parked behind it goes on."),
            _("Nobody will receive it; the effect it asked for has to be made good elsewhere."),
        ]
    else:
        consequences = [
            _("The reply is given to its saga once more.")
            if letter.source == DeadLetter.Source.REPLY
            else _("It is sent to %(destination)s once more, with the same message id.")
            % {"destination": letter.destination},
            _("When it fails again, it comes back here with the new attempt."),
        ]
    return Question(
        title=f"{_('Discard') if discards else _('Reprocess')}: {letter}",
        form=form,
        button=_("Discard") if discards else _("Reprocess"),
        back=back,
        consequences=consequences,
        is_dangerous=discards,
        error=(
            ""
            if is_open
            else _("It is not open; it is %(status)s.") % {"status": letter.get_status_display()}
        ),
        refused=not is_open,
        details={"version": letter.version},
    )


@require_http_methods(["GET", "POST"])
@page("dlq.view_deadletter")
def letter_batch(request: HttpRequest) -> HttpResponse:
    """Reprocess the open letters of a destination or of a cause, oldest first, up to a limit."""
    _check_permission(request, discards=False)
    chosen = {name: request.GET.get(name, "") for name in ("destination", "fingerprint")}
    initial = chosen | {"request_id": new_request_id(), "limit": 100}
    form = BatchForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        result = reprocess_batch(
            destination=given["destination"] or None,
            fingerprint=given["fingerprint"] or None,
            limit=given["limit"],
            actor=actor_of(request),
            reason=given["reason"],
        )
        return _show_outcome(request, result)
    waiting = count_up_to(filter_letters(chosen | {"status": DeadLetter.Status.OPEN}))
    words = ngettext("%(n)s open letter matches.", "%(n)s open letters match.", waiting.value)
    question = Question(
        title=_("Reprocess a batch"),
        form=form,
        button=_("Reprocess"),
        back=reverse("admin:letter_groups"),
        consequences=[
            words % {"n": waiting},
            _("Each is sent once more, with the same message id; what fails again comes back."),
        ],
    )
    return ask(request, question, status=400 if form.errors else 200)


@require_POST
@page("dlq.view_deadletter")
def letter_bulk(request: HttpRequest, verb: str) -> HttpResponse:
    """Ask about the letters that were ticked; with `items` in the form, do it."""
    discards = verb == "discard"
    _check_permission(request, discards)
    kind = ReasonForm if discards else OptionalReasonForm
    ids = _read_ids(request)
    back = f"{reverse('admin:letter_list')}?{request.POST.get('address', '')}"
    if not ids:
        return HttpResponseRedirect(back)
    is_confirmed = "items" in request.POST
    initial = {"request_id": new_request_id()}
    form = kind(request.POST if is_confirmed else None, initial=initial)
    if is_confirmed and form.is_valid():
        reason = form.cleaned_data["reason"]
        actor = actor_of(request)
        if discards:
            result = discard(ids, actor=actor, reason=reason)
        else:
            result = reprocess_batch(ids=ids, actor=actor, reason=reason)
        return _show_outcome(request, result)
    frozen = " ".join(map(str, ids))
    form.fields["items"] = forms.CharField(initial=frozen, widget=forms.HiddenInput)
    title = ngettext("%(verb)s %(n)d letter", "%(verb)s %(n)d letters", len(ids))
    button = _("Discard") if discards else _("Reprocess")
    question = Question(
        title=title % {"verb": button, "n": len(ids)},
        form=form,
        button=button,
        back=back,
        consequences=[
            _("They are given up for good. What was parked behind them goes on.")
            if discards
            else _("Each is sent once more, with the same message id; what fails again comes back.")
        ],
        is_dangerous=discards,
        details={"action": request.path},
    )
    return ask(request, question, template="console/bulk_question.html")


def _show_outcome(request: HttpRequest, result: BatchResult) -> HttpResponse:
    letters = DeadLetter.objects.defer("payload", "headers").in_bulk(
        [item.letter_id for item in result.items]
    )
    totals = Counter(item.outcome for item in result.items)
    context = {
        "title": _("Outcome"),
        "totals": [(*WORDS[outcome], count) for outcome, count in totals.items()],
        "rows": [
            (item, *WORDS[item.outcome], letters.get(item.letter_id), _told(item.detail))
            for item in result.items
        ],
        "back": reverse("admin:letter_groups"),
    }
    return render_page(request, "console/letter_outcome.html", context)


def _read_ids(request: HttpRequest) -> list[UUID]:
    """Return what was ticked, or what the list's filters match, oldest first."""
    if request.POST.get("all"):
        chosen = read_filters(QueryDict(request.POST.get("address", "")))
        letters = filter_letters(chosen | {"status": DeadLetter.Status.OPEN})
        return list(letters.order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
    given = request.POST.get("items", "").split() or request.POST.getlist("letter")
    ids = []
    for value in given[:MOST_AT_ONCE]:
        try:
            ids.append(UUID(value))
        except ValueError:
            continue
    return ids


def _check_permission(request: HttpRequest, discards: bool) -> None:
    name = "dlq.discard_deadletter" if discards else "dlq.reprocess_deadletter"
    if not request.user.has_perm(name):
        raise PermissionDenied
