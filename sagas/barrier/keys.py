"""Idempotency keys: what they say about the call."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from sagas.barrier.exceptions import InvalidKey

MAX_KEY_CHARS = 255
Direction = Literal["forward", "backward"]
_DIRECTIONS: dict[str, Direction] = {"do": "forward", "undo": "backward"}
# {saga}/{step}/do, and /do/2 for the second time that an operator wants it done.
_OF_A_SAGA = re.compile(r"(?P<step>.+)/(?P<verb>do|undo)(?:/(?P<generation>[1-9]\d{0,3}))?")


class Key(NamedTuple):
    """A key taken apart. One that is not a saga's has no step and no direction."""

    text: str
    step: str = ""
    direction: Direction | None = None
    generation: int = 1
    # Of an undo: up to which generation it takes actions back; None: the caller did not say.
    undone: int | None = None

    @property
    def first_action(self) -> Key:
        """The key of the step's first action, which everything done for the step begins with."""
        return Key(f"{self.step}/do", self.step, "forward")


def parse_key(text: str, *, direction: Direction | None = None, undoes: str = "") -> Key:
    """Return what a key says, and for an undo what `undoes`, an action's key, says.

    Raises InvalidKey, also if it is not of the wanted direction, or undoes another step's action.
    """
    if not 0 < len(text) <= MAX_KEY_CHARS:
        raise InvalidKey(f"An idempotency key has 1 to {MAX_KEY_CHARS} characters.")
    found = _OF_A_SAGA.fullmatch(text)
    key = Key(text)
    if found:
        generation = int(found["generation"] or 1)
        key = Key(text, found["step"], _DIRECTIONS[found["verb"]], generation)
    if direction and key.direction != direction:
        wanted = "…/do" if direction == "forward" else "…/undo"
        raise InvalidKey(f"The idempotency key {text!r} is none of the form {wanted}.")
    return key._replace(undone=_generation_undone(key, undoes)) if undoes else key


def _generation_undone(undo: Key, undoes: str) -> int | None:
    if undo.direction != "backward":
        return None
    action = parse_key(undoes, direction="forward")
    if action.step != undo.step:
        raise InvalidKey(f"{undo.text!r} cannot undo {undoes!r}, which is of another step.")
    return action.generation
