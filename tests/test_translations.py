"""The Korean console: a catalogue that fits the code, and pages on which no English is left."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override

from config import translations
from config.translations import Entry, Key
from sagas.models import Saga
from tests.api.builders import make_letter
from tests.builders import make_participant
from tests.console.builders import make_message, make_saga, order, words
from tests.outbox.builders import make_route

needs_gettext = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in translations.TOOLS), reason="needs GNU gettext"
)

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
PAUSED = '\nmsgid "%(name)s is paused"\nmsgstr "%(name)s 일시 정지"\n'


@pytest.fixture(autouse=True)
def _leave_the_language_as_it_was() -> Iterator[None]:
    with override("en"):
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one word and its translation."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "views.py").write_text('_("%(name)s is paused")\n')
    (tmp_path / "locale" / "ko" / "LC_MESSAGES").mkdir(parents=True)
    monkeypatch.setattr(translations, "ROOT", tmp_path)
    monkeypatch.setattr(translations, "SOURCES", ["app"])
    translate(tmp_path, PAUSED)
    return tmp_path


def translate(project: Path, entries: str) -> None:
    catalogue(project).write_text(HEADER + entries)
    if shutil.which("msgfmt"):
        translations.compile_all()


def catalogue(project: Path) -> Path:
    return project / "locale" / "ko" / "LC_MESSAGES" / "django.po"


def make_entry(text: str, *translated: str, plural: str = "", is_fuzzy: bool = False) -> Entry:
    return Entry(Key("", text, plural), translated, is_fuzzy)


# The catalogue


@needs_gettext
def test_every_word_of_the_console_is_translated() -> None:
    assert translations.check() == []


@needs_gettext
def test_check_leaves_the_tree_as_it_is(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    assert translations.check() == []

    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@needs_gettext
def test_check_names_a_word_that_is_missing(project: Path) -> None:
    (project / "app" / "forms.py").write_text('_("Reason")\n')

    (problem,) = translations.check()

    assert "“Reason” is missing" in problem


@needs_gettext
def test_check_names_a_word_that_is_not_used_any_more(project: Path) -> None:
    translate(project, PAUSED + '\nmsgid "Reason"\nmsgstr "사유"\n')

    (problem,) = translations.check()

    assert "“Reason” is not used any more" in problem


@needs_gettext
def test_check_notices_that_the_compiled_file_is_old(project: Path) -> None:
    catalogue(project).write_text(HEADER + PAUSED.replace("일시 정지", "정지"))

    (problem,) = translations.check()

    assert "translations compile" in problem


@needs_gettext
def test_update_adds_new_words_and_keeps_the_translations(project: Path) -> None:
    (project / "app" / "forms.py").write_text('_("Reason")\n')

    translations.update()

    entries = {
        entry.key.text: entry for entry in translations.read_entries(catalogue(project).read_text())
    }
    assert entries["%(name)s is paused"].problem() == ""
    assert entries["Reason"].problem() == "is not translated"


@needs_gettext
def test_update_changes_nothing_when_there_is_nothing_new(project: Path) -> None:
    translations.update()
    before = catalogue(project).read_text()

    translations.update()

    assert catalogue(project).read_text() == before


def test_entry_must_be_translated() -> None:
    assert make_entry("Reason", "").problem() == "is not translated"


def test_entry_must_not_be_a_guess() -> None:
    assert "fuzzy" in make_entry("Reason", "사유", is_fuzzy=True).problem()


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("%(n)s of %(total)s", "%(n)s"),
        ("for %s", "동안"),
        ("{n} steps", "단계 {total}"),
        ("COUNT new rows", "새 항목"),
    ],
)
def test_entry_must_keep_its_placeholders(text: str, translated: str) -> None:
    assert "has other placeholders" in make_entry(text, translated).problem()


def test_entry_may_put_its_placeholders_in_another_order() -> None:
    assert make_entry("%(n)s of %(total)s", "%(total)s개 중 %(n)s개").problem() == ""


def test_entry_says_what_its_plural_says() -> None:
    entry = make_entry("The step", "단계 %(n)d개", plural="All %(n)d steps")

    assert entry.problem() == ""


def test_entry_must_keep_its_tags() -> None:
    assert "has other HTML tags" in make_entry("a <b>word</b>", "낱말").problem()


def test_entries_are_read_with_context_plural_and_broken_lines() -> None:
    text = (
        '#, fuzzy\nmsgctxt "a door"\nmsgid "open"\nmsgstr "열림"\n\n'
        'msgid ""\n"one "\n"step"\nmsgid_plural "steps"\nmsgstr[0] "단계"\n'
    )

    assert list(translations.read_entries(HEADER + "\n" + text)) == [
        Entry(Key("a door", "open", ""), ("열림",), is_fuzzy=True),
        Entry(Key("", "one step", "steps"), ("단계",), is_fuzzy=False),
    ]


def test_command_says_how_to_get_gettext(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)

    assert "apt-get install gettext" in str(translations.main(["check"]))


def test_command_explains_itself() -> None:
    assert "update|check|compile" in str(translations.main(["guess"]))


# The pages


# What Korean text keeps as it is; a command that it quotes; what the data of these tests is called.
NAMES = {"Sagadesk", "API", "YAML", "JSON", "Redis", "Celery", "Beat", "HTTP", "Python", "English"}
COMMAND = {"celery", "config", "worker", "beat"}
DATA = {"root", "ann", "order", "test", "number", "events", "saga", "Service", "Other", "still"}
DATA |= {"doA", "doB", "undoA", "undoB"}
ERRORS = {"OutOfStock", "stock", "left", "ValueError", "orders"}


class SpokenWords(HTMLParser):
    """Collects what a page says, to the eye and to a screen reader; code and data are left out."""

    SILENT = frozenset({"code", "pre", "kbd", "script", "style", "textarea"})
    SPOKEN = frozenset({"aria-label", "title", "placeholder"})

    def __init__(self) -> None:
        super().__init__()
        self.silent = 0
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in self.SILENT
        if tag not in self.SILENT | {"time"}:
            self.said += [value or "" for name, value in attrs if name in self.SPOKEN]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def english_on(response: Any) -> list[str]:
    """Return the words of a page that are neither Korean nor names."""
    parser = SpokenWords()
    parser.feed(response.content.decode())
    found = re.findall(r"[A-Za-z]{3,}", " ".join(parser.said))
    return sorted(set(found) - NAMES - COMMAND - DATA - ERRORS)


@pytest.fixture
def _some_of_everything(db: None) -> None:
    for story in ("running", "failed", "completed", "undo_failed"):
        make_saga(story)
    make_saga("running", paused=True)
    route = make_route()
    make_route("still", paused_at="2027-01-01T00:00Z", paused_by="ann")
    make_message(route)
    make_letter()
    make_participant()
    make_participant("Other", paused_at="2027-01-01T00:00Z", paused_by="ann")


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("/", ["개요", "조치 필요", "실패한 사가", "최근 1시간", "성공률", "아웃박스"]),
        ("/sagas/", ["사가", "비즈니스 키", "실패", "실행 중", "보상하기", "재시도"]),
        ("/letters/", ["데드 레터", "원인별", "목적지", "재처리"]),
        ("/letters/all/", ["미처리", "폐기", "모든 사유"]),
        ("/outbox/", ["경로", "지연", "막힌 키", "레인"]),
        ("/outbox/deliveries/", ["전달 중", "모든 경로", "발행 대기"]),
        ("/outbox/messages/", ["메시지", "메시지 ID"]),
        ("/participants/", ["참여자", "호출 방식", "정상", "일시 정지"]),
        ("/definitions/", ["정의", "작성 형식"]),
        ("/definitions/test/1/", ["단계", "시도", "제한 시간", "버전"]),
        ("/audit/", ["감사 기록", "모든 작업"]),
        ("/nothing-here/", ["페이지를 찾을 수 없습니다"]),
    ],
)
@pytest.mark.usefixtures("_some_of_everything")
def test_page_speaks_korean(reader: Client, path: str, labels: list[str]) -> None:
    response = reader.get(path)

    assert [label for label in labels if label not in words(response)] == []
    assert english_on(response) == []


@pytest.mark.parametrize("path", ["/sagas/", "/letters/", "/letters/all/", "/outbox/", "/audit/"])
def test_empty_page_speaks_korean(reader: Client, path: str) -> None:
    assert english_on(reader.get(path)) == []


@pytest.mark.parametrize(
    ("story", "labels"),
    [
        ("running", ["실행 중", "일시 정지", "취소", "이력", "곧 시작합니다"]),
        ("failed", ["실패", "재시도", "보상하기", "멈췄습니다"]),
        ("completed", ["완료", "모두 성공했습니다"]),
        ("undo_failed", ["보상 실패", "수동 처리로 표시", "그대로 남아 있습니다"]),
    ],
)
def test_saga_speaks_korean(reader: Client, story: str, labels: list[str]) -> None:
    saga = make_saga(story)

    response = reader.get(f"/sagas/{saga.pk}/")

    assert [label for label in labels if label not in words(response)] == []
    assert english_on(response) == []


def test_dialog_says_in_korean_what_will_happen(reader: Client) -> None:
    saga = make_saga("failed")

    response = reader.get(f"/sagas/{saga.pk}/retry/")

    assert "다음 순서로 진행합니다" in words(response)
    assert "2번째 시도" in words(response)
    assert "버전" in words(response)
    assert english_on(response) == []


def test_refusal_is_given_in_korean(reader: Client) -> None:
    saga = make_saga("completed")

    shown = words(reader.get(f"/sagas/{saga.pk}/retry/"))

    assert "실패한 사가만 재시도할 수 있습니다. 현재 상태: 완료" in shown


def test_somebody_faster_is_told_in_korean(reader: Client) -> None:
    saga = make_saga("failed")
    Saga.objects.filter(pk=saga.pk).update(version=saga.version + 1)

    response = reader.post(f"/sagas/{saga.pk}/retry/", order(saga.version))

    assert response.status_code == 409
    assert "확인하신 뒤 사가가 변경되었습니다" in words(response)


def test_outcome_of_a_batch_is_told_in_korean(reader: Client) -> None:
    changed, running = make_saga("failed"), make_saga("running")
    items = f"{changed.pk}:{changed.version - 1} {running.pk}:{running.version}"

    shown = words(reader.post("/sagas/bulk/retry/", order(items=items)))

    assert "확인하신 뒤 변경되었습니다. 아무것도 실행하지 않았습니다." in shown
    assert "실패한 사가만 재시도할 수 있습니다. 현재 상태: 실행 중" in shown


def test_audit_names_the_verb_in_korean(reader: Client) -> None:
    make_participant()
    reader.post("/participants/Service/pause/", order())

    response = reader.get("/audit/?verb=pause")

    assert [(line.verb, line.kind) for line in response.context["lines"]] == [
        ("일시 정지", "참여자")
    ]


def test_login_speaks_korean(client: Client, db: None) -> None:
    response = client.get("/login/", headers={"accept-language": "ko"})

    assert "로그인" in words(response)
    assert english_on(response) == []
