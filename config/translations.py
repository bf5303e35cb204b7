"""The console's words in other languages: `python -m config.translations update|check|compile`.

`update` gathers the marked words of code and templates into locale/*/LC_MESSAGES/django.po and
compiles them. `check` changes nothing; it names every word that is missing, empty, doubtful or
broken. The compiled .mo files are committed, so that running the console takes no gettext.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("config", "dlq", "outbox", "sagas", "templates")
LANGUAGES = ("ko",)
TOOLS = ("xgettext", "msguniq", "msgmerge", "msgattrib", "msgfmt", "msgunfmt")

# COUNT is what the page's script puts a number in for.
PLACEHOLDER = re.compile(r"%\(\w+\)[\d.]*[a-z]|%[a-z]|\{\w*\}|COUNT")
TAG = re.compile(r"</?\w+[^>]*>")
FIELD = re.compile(r'^(msg\w+(?:\[\d\])?) (".*")$')
# Changes with every run and says nothing.
DATE = re.compile(r'^"POT-Creation-Date: .*"\n', re.MULTILINE)


class Failure(Exception):
    """Why the words could not be gathered or compiled."""


class Key(NamedTuple):
    """What the code asks for."""

    context: str
    text: str
    plural: str

    def __str__(self) -> str:
        return f"“{self.text}”" + (f" ({self.context})" if self.context else "")


class Entry(NamedTuple):
    key: Key
    translations: tuple[str, ...]
    is_fuzzy: bool

    def problem(self) -> str:
        """Return what is wrong with the translation, or nothing."""
        if not all(self.translations):
            return "is not translated"
        if self.is_fuzzy:
            return "is marked fuzzy: look at it and remove the mark"
        # One form for all numbers has to say what the plural says.
        original = self.key.plural or self.key.text
        for pattern, name in ((PLACEHOLDER, "placeholders"), (TAG, "HTML tags")):
            wanted = sorted(set(pattern.findall(original)))
            for translation in self.translations:
                found = sorted(set(pattern.findall(translation)))
                if found != wanted:
                    return f"has other {name}: {_join(found)} instead of {_join(wanted)}"
        return ""


def update() -> None:
    """Gather the words of the code into the catalogues, and compile these."""
    with _gathered() as copy:
        for language in LANGUAGES:
            target = _catalogue(ROOT, language)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_catalogue(copy, language), target)
    compile_all()


def compile_all() -> None:
    """Write the .mo file beside every catalogue."""
    for language in LANGUAGES:
        catalogue = _catalogue(ROOT, language)
        _compile(catalogue, catalogue.with_suffix(".mo"))


def check() -> list[str]:
    """Return everything that is wrong, in words; the working tree stays as it is."""
    with _gathered() as copy:
        return [
            f"{_catalogue(Path(), language)}: {problem}"
            for language in LANGUAGES
            for problem in _problems(copy, language)
        ]


def read_entries(text: str) -> Iterator[Entry]:
    """Read a .po file; its header, the entry without a text, is left out."""
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if match := FIELD.match(line):
                name = match[1]
                fields[name] = ast.literal_eval(match[2])
            elif line.startswith('"'):
                fields[name] += ast.literal_eval(line)
        if fields.get("msgid"):
            yield Entry(
                Key(fields.get("msgctxt", ""), fields["msgid"], fields.get("msgid_plural", "")),
                tuple(text for name, text in fields.items() if name.startswith("msgstr")),
                re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE) is not None,
            )


def _problems(copy: Path, language: str) -> Iterator[str]:
    """Compare the committed catalogue with the one that was gathered anew in the copy."""
    catalogue = _catalogue(ROOT, language)
    if not catalogue.exists():
        yield "is not there; run: python -m config.translations update"
        return
    entries = {entry.key: entry for entry in read_entries(catalogue.read_text())}
    wanted = {entry.key for entry in read_entries(_catalogue(copy, language).read_text())}
    for key in sorted(wanted - entries.keys()):
        yield f"{key} is missing; run: python -m config.translations update"
    for key in sorted(entries.keys() - wanted):
        yield f"{key} is not used any more; run: python -m config.translations update"
    for key, entry in entries.items():
        if key in wanted and (problem := entry.problem()):
            yield f"{key} {problem}"
    compiled = catalogue.with_suffix(".mo")
    fresh = copy / "fresh.mo"
    _compile(catalogue, fresh)
    if not compiled.exists() or _decompile(compiled) != _decompile(fresh):
        yield "its .mo file is not what it compiles to; run: python -m config.translations compile"


@contextmanager
def _gathered() -> Iterator[Path]:
    """Give a copy of what has words, with catalogues in which all of them are found."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for source in SOURCES:
            shutil.copytree(
                ROOT / source, copy / source, ignore=shutil.ignore_patterns("__pycache__")
            )
        if (ROOT / "locale").exists():
            shutil.copytree(ROOT / "locale", copy / "locale")
        (copy / "locale").mkdir(exist_ok=True)
        options = ["--no-obsolete", "--no-wrap", "--add-location=file", "--verbosity=0"]
        options += [f"--locale={language}" for language in LANGUAGES]
        _run(sys.executable, "-m", "django", "makemessages", *options, cwd=copy)
        for language in LANGUAGES:
            catalogue = _catalogue(copy, language)
            catalogue.write_text(DATE.sub("", catalogue.read_text()))
        yield copy


def _catalogue(root: Path, language: str) -> Path:
    return root / "locale" / language / "LC_MESSAGES" / "django.po"


def _compile(catalogue: Path, target: Path) -> None:
    _run("msgfmt", "--check-format", f"--output-file={target}", str(catalogue))


def _decompile(compiled: Path) -> str:
    return _run("msgunfmt", str(compiled))


def _run(*command: str, cwd: Path = ROOT) -> str:
    """Run a program without the project's settings and return what it wrote."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failure(done.stderr.strip() or f"{command[0]} failed without a word.")
    return done.stdout


def _join(found: list[str]) -> str:
    return ", ".join(found) or "none"


def main(arguments: list[str]) -> str | int:
    """Do what the command line asks for; return what `sys.exit` takes."""
    if arguments not in (["update"], ["check"], ["compile"]):
        return "Usage: python -m config.translations update|check|compile"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return (
            f"GNU gettext is needed, and {', '.join(missing)} cannot be found. On Debian and "
            "Ubuntu: apt-get install gettext; on macOS: brew install gettext"
        )
    try:
        if arguments == ["check"]:
            problems = check()
            return "\n".join(problems) if problems else 0
        update() if arguments == ["update"] else compile_all()
    except Failure as failure:
        return str(failure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
