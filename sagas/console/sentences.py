"""What the engine says in English, marked for translation; `translating` finds it again.

The core of the engine knows no Django, and what is stored or given to programs is English, so
sentences are marked here and not where they are said.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

# As sagas.core.verbs and sagas.verbs say them.
REFUSALS = (
    gettext_noop("Only a failed saga can be retried; this one is %(status)s."),
    gettext_noop("No undo has failed that could be tried again."),
    gettext_noop("Effects of it have been undone by hand, so it cannot go forward; compensate it."),
    gettext_noop("Only a failed or completed saga can be compensated; this one is %(status)s."),
    gettext_noop("Compensation has begun already; retry what failed or mark it as done by hand."),
    gettext_noop("Only a moving saga can be paused; this one is %(status)s."),
    gettext_noop("It is paused already."),
    gettext_noop("It is not paused."),
    gettext_noop("It is being undone already, and an undo is never aborted."),
    gettext_noop("Only a running saga can be cancelled; this one is %(status)s."),
    gettext_noop("It is being cancelled already."),
    gettext_noop("The point of no return has been passed; it can only go forward."),
    gettext_noop("Steps are marked by hand only while a saga has failed; this one is %(status)s."),
    gettext_noop("No effect of this saga stands."),
    gettext_noop("Steps are skipped only on the way forward; this saga is %(status)s."),
    gettext_noop("No step of it has failed or waits for something that could be skipped."),
    gettext_noop("Only a failed saga can be rewound; this one is %(status)s."),
    gettext_noop("There is no step from which it could be done again."),
    gettext_noop("No step of it waits for its time."),
    gettext_noop(
        "Only a saga that runs or has failed can go on under another version; this one is "
        "%(status)s."
    ),
    gettext_noop("An order of an operator is not finished; retry or compensate it first."),
    gettext_noop("A step is in flight or waits; pause the saga and try again when it is done."),
    gettext_noop("Only a failed saga can be abandoned; this one is %(status)s."),
    gettext_noop("It waits for nobody's decision."),
    gettext_noop("It is paused; resume it first."),
    gettext_noop("Only a step that goes forward can have another input."),
    gettext_noop(
        "Nobody knows whether the last attempt took effect; another input would do it twice. "
        "Retry it as it is, skip it, or compensate."
    ),
    gettext_noop("Choose another version of the same definition."),
    gettext_noop("The other version has no step %(step)s, which has begun."),
    gettext_noop("%(step)s, which has begun, is of another type in the other version."),
    gettext_noop("It has ended and was archived; nothing can be done with it any more."),
    gettext_noop("Say why: every verb needs a reason."),
    gettext_noop("request_id must be a text of 1 to 100 characters."),
    gettext_noop("Marking by hand needs the step and evidence of what was done."),
    gettext_noop("Moving a saga needs the version of the definition."),
    gettext_noop("%(verb)s needs the step."),
    gettext_noop("request_id %(id)s was used for another order; use a new one."),
    gettext_noop("%(verb)s cannot be given for step %(step)s; it can for: %(steps)s."),
    gettext_noop("steps must name at least one step, and each only once."),
    gettext_noop("Its input has been edited %(n)s times; start a new saga instead."),
    gettext_noop("The input %(problem)s."),
    gettext_noop("The output %(problem)s."),
    gettext_noop("The new input is the old one; retry without it."),
    gettext_noop("Only members of the group %(group)s decide here."),
    gettext_noop(
        "Only a saga that is paused or has failed can lose a lock; this one is %(status)s. "
        "Pause it first."
    ),
    gettext_noop("It does not hold this lock any more."),
)
# As sagas.core and sagas.engine.children write them to the journal; what participants answer is
# shown as they said it.
MESSAGES = (
    gettext_noop("An operator cancelled the saga."),
    gettext_noop("An operator ordered compensation."),
    gettext_noop("An operator rewinds the saga to %(step)s."),
    gettext_noop("The chosen steps are undone; effects of others stand."),
    gettext_noop("The definition declares no compensation for this step."),
    gettext_noop("The saga did not end within its %(limit)s s."),
    gettext_noop("No reply came within %(limit)s s."),
    gettext_noop("The saga that it had started did not end within %(limit)s s."),
    gettext_noop("The signal %(signal)s did not come within %(limit)s s."),
    gettext_noop("Nobody decided within %(limit)s s."),
    gettext_noop("The worker that sent this call is gone; nobody knows its outcome."),
    gettext_noop("The saga that it had started is %(status)s. %(reason)s"),
    gettext_noop("The saga that it had started is %(status)s."),
    gettext_noop("There is no saga %(id)s any more."),
    gettext_noop("The saga %(id)s was abandoned; its effects stand."),
    gettext_noop("The saga that started it is being undone."),
    gettext_noop("Lock %(lock)s is held by saga %(id)s."),
    gettext_noop("It would wait for ever for lock %(lock)s: %(way)s."),
)
# As sagas.replies says why a reply became a dead letter.
REPLIES = (
    gettext_noop("A reply is a JSON object."),
    gettext_noop("message_id must be a text of 1 to 200 characters."),
    gettext_noop("attempt must be a number from 1 on."),
    gettext_noop('outcome must be "succeeded" or "failed".'),
    gettext_noop(
        "correlation_id %(id)s is not the Idempotency-Key of a call: {saga}/{step}/do or "
        "{saga}/{step}/undo."
    ),
    gettext_noop("output %(problem)s."),
    gettext_noop("%(definition)s has no step %(quoted)s."),
    gettext_noop("%(quoted)s has not been called so often: attempt %(attempt)s."),
    gettext_noop("The saga has ended: %(status)s."),
    gettext_noop("The saga has ended: %(status)s. It was archived."),
    gettext_noop("The saga has ended and is not kept any more."),
    gettext_noop("There is no saga %(id)s."),
    gettext_noop("The participant reported a failure."),
)
# As sagas.signals refuses them.
SIGNALS = (
    gettext_noop("The saga has ended: %(status)s."),
    gettext_noop("%(definition)s waits for no signal %(quoted)s; it does for: %(names)s."),
    gettext_noop("%(n)s signals wait already for a step to take them."),
    gettext_noop("name must be a text of 1 to 100 characters."),
    gettext_noop("message_id must be a text of 1 to 200 characters."),
    gettext_noop("data %(problem)s."),
)
# As sagas.scheduling says why a schedule cannot be set, or start anything.
SCHEDULES = (
    gettext_noop("That time does not come within eight years."),
    gettext_noop("Say why: every verb needs a reason."),
    gettext_noop("Say when: either a crontab or an interval."),
    gettext_noop("A crontab has five fields: minute hour day month weekday."),
    gettext_noop("There is no time zone %(zone)s."),
    gettext_noop("%(crontab)s is no crontab: %(why)s"),
    gettext_noop("every: %(why)s."),
    gettext_noop("every must be whole seconds, at least 1s."),
    gettext_noop("%(place)s is none of {date}, {time}, {slot}."),
    gettext_noop("Its arguments cannot be read: %(why)s"),
    gettext_noop("priority %(priority)s is none of %(priorities)s."),
    gettext_noop("make_up must be a number from 0 to %(most)s."),
)
# As sagas.starting and sagas.exceptions refuse what a schedule would start.
STARTS = (
    gettext_noop("There is no definition %(name)s. Load it with: manage.py saga load FILE"),
    gettext_noop("There is no schedule %(name)s."),
    gettext_noop("business_key must be a text of 1 to 200 characters."),
    gettext_noop("%(key)s: the input %(problem)s."),
    gettext_noop("%(key)s: tenant must be a text of up to 200 characters."),
)
# As sagas.retention.rules refuses them.
RETENTION = (
    gettext_noop("Say why: every verb needs a reason."),
    gettext_noop("keep_days must be a number from 1 to %(most)s."),
    gettext_noop("Rules are for sagas that have ended; they archive or drop them."),
    gettext_noop("There is no definition %(name)s."),
    gettext_noop("Calls of %(name)s may be repeated for %(days)s days; keep its sagas for longer."),
)
# As sagas.retention.rules writes them to the audit log.
AUDIT = (
    gettext_noop("archive after %(days)s days: %(why)s"),
    gettext_noop("drop after %(days)s days: %(why)s"),
)
# As sagas.storable ends a sentence about what cannot be stored.
PROBLEMS = (
    gettext_noop("is no JSON: %(why)s"),
    gettext_noop("has %(size)s bytes; %(limit)s are allowed"),
    gettext_noop("holds a NUL character, which cannot be stored"),
)
# As sagas.core.planning notes them.
NOTES = (
    gettext_noop("in flight"),
    gettext_noop("waits for the reply"),
    gettext_noop("waits for the end of its saga"),
    gettext_noop("waits for its time"),
    gettext_noop("waits for the signal %(signal)s"),
    gettext_noop("waits for a decision"),
    gettext_noop("waits for the lock %(lock)s"),
    gettext_noop("its outcome is unknown"),
    gettext_noop("attempt %(n)s"),
    gettext_noop("only if %(condition)s"),
)
