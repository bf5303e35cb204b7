"""Where the operator's pages of dead letters are."""

from django.urls import path, re_path

from dlq.console import lists, verbs

urlpatterns = [
    path("letters/", lists.letter_groups, name="letter_groups"),
    path("letters/all/", lists.letter_list, name="letter_list"),
    path("letters/batch/", verbs.letter_batch, name="letter_batch"),
    re_path(r"^letters/bulk/(?P<verb>reprocess|discard)/$", verbs.letter_bulk, name="letter_bulk"),
    path("letters/<uuid:letter_id>/", lists.letter_page, name="letter"),
    path("letters/<uuid:letter_id>/reprocess/", verbs.letter_reprocess, name="letter_reprocess"),
    path("letters/<uuid:letter_id>/discard/", verbs.letter_discard, name="letter_discard"),
]
