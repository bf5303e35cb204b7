"""Where the operator's pages of the engine are; one verb a path."""

from django.urls import path, register_converter

from sagas.console import (
    bulk,
    definitions,
    detail,
    limits,
    lists,
    locks,
    participants,
    retention,
    schedules,
    signals,
    verbs,
)
from sagas.core.verbs import Verb


class VerbConverter:
    regex = "|".join(verb.value for verb in Verb)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return str(value)


register_converter(VerbConverter, "verb")

urlpatterns = [
    path("sagas/", lists.saga_list, name="saga_list"),
    path("sagas/bulk/<verb:verb>/", bulk.bulk_verb, name="saga_bulk"),
    path("sagas/<uuid:saga_id>/", detail.saga_page, name="saga"),
    path("sagas/<uuid:saga_id>/<verb:verb>/", verbs.saga_verb, name="saga_verb"),
    path("sagas/<uuid:saga_id>/signal/", signals.saga_signal, name="saga_signal"),
    path("schedules/", schedules.schedule_list, name="schedule_list"),
    path("schedules/set/", schedules.schedule_set, name="schedule_set"),
    path("schedules/<int:schedule_id>/", schedules.schedule_page, name="schedule"),
    *(
        path(
            f"schedules/<int:schedule_id>/{order}/",
            schedules.schedule_order,
            {"order": order},
            name=f"schedule_{order}",
        )
        for order in schedules.ORDERS
    ),
    path("retention/", retention.retention_page, name="retention"),
    path("retention/set/", retention.retention_set, name="retention_set"),
    path("retention/<int:rule_id>/remove/", retention.retention_remove, name="retention_remove"),
    path("retention/archive/", retention.archive_list, name="archive_list"),
    path("locks/", locks.lock_list, name="lock_list"),
    path("locks/<int:lock_id>/release/<uuid:saga_id>/", locks.lock_release, name="lock_release"),
    path("definitions/", definitions.definition_list, name="definition_list"),
    path("definitions/<str:name>/<int:version>/", definitions.definition_page, name="definition"),
    path("participants/", participants.participant_list, name="participant_list"),
    path("participants/<str:name>/", participants.participant_page, name="participant"),
    path(
        "participants/<str:name>/pause/", participants.participant_pause, name="participant_pause"
    ),
    path(
        "participants/<str:name>/resume/",
        participants.participant_resume,
        name="participant_resume",
    ),
    path(
        "participants/<str:name>/limits/",
        limits.participant_limits,
        name="participant_limits",
    ),
    path(
        "participants/<str:name>/close-breaker/",
        limits.participant_close_breaker,
        name="participant_close_breaker",
    ),
]
