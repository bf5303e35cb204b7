"""The page of locks that sagas hold, and the dialog that takes one away."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from outbox.pages import (
    Question,
    ReasonForm,
    actor_of,
    address_to_return_to,
    ask,
    new_request_id,
    page,
    render_page,
)
from outbox.paging import read_page
from sagas.console.translating import translate_error, translate_refusal
from sagas.exceptions import IllegalVerb
from sagas.locks import describe_locks, release_lock, why_not_release
from sagas.models import Saga, SagaLock


@page("sagas.view_sagalock")
def lock_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip().replace("\x00", "")
    shown = read_page(_search(words), request.GET)
    context = {
        "title": _("Locks"),
        "page": shown,
        "locks": describe_locks(shown.rows),
        "words": words,
    }
    return render_page(request, "console/lock_list.html", context)


def _search(words: str) -> QuerySet[SagaLock]:
    """Return the locks whose name begins so, or those of a saga."""
    locks = SagaLock.objects.all()
    try:
        return locks.filter(saga_id=UUID(words))
    except ValueError:
        return locks.filter(name__startswith=words) if words else locks


@require_http_methods(["GET", "POST"])
@page("sagas.view_sagalock")
def lock_release(request: HttpRequest, lock_id: int, saga_id: UUID) -> HttpResponse:
    """Ask for a reason, or take the lock from the saga that the operator saw holding it."""
    if not request.user.has_perm("sagas.release_sagalock"):
        raise PermissionDenied
    lock = SagaLock.objects.filter(pk=lock_id).first()
    if lock is None:
        raise Http404(_("There is no such lock."))
    given = request.POST if request.method == "POST" else None
    form = ReasonForm(given, initial={"request_id": new_request_id()})
    back = address_to_return_to(request, reverse("admin:lock_list"))
    refusal = translate_refusal(why_not_release(Saga.objects.filter(pk=saga_id).first()))
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            release_lock(lock.name, saga_id, actor=actor_of(request), reason=reason)
        except IllegalVerb as error:
            refusal = translate_error(error)
        else:
            messages.success(request, _("The lock %(name)s is released.") % {"name": lock.name})
            return HttpResponseRedirect(back)
    question = Question(
        title=_("Release the lock %(name)s") % {"name": lock.name},
        form=form,
        button=_("Release the lock"),
        back=back,
        consequences=[
            _("Whoever has waited longest gets it at once, although this saga has not ended."),
            _("Before its next step forwards this saga takes the lock again, or waits for it."),
        ],
        is_dangerous=True,
        error=refusal,
        refused=bool(refusal),
    )
    status = 409 if refusal and given else 400 if form.errors else 200
    return ask(request, question, status=status)
