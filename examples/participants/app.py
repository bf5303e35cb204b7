"""From a request to the service that is meant, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from examples.participants.faults import Faults, Rule
from examples.participants.ledger import Call, Ledger, failure
from examples.participants.protocol import Answer, Request
from examples.participants.services import SERVICES, Action

ALL = "saga_id", "business_key"


class Target(NamedTuple):
    """What a path means: a service, and the action or (None) an undo."""

    service: str
    ledger: Ledger
    name: str
    action: Action | None


class Participants:
    """Some services in one process, each with a SQLite file of its own."""

    def __init__(
        self,
        services: list[str],
        data: Path,
        *,
        faults: Faults | None = None,
        limits: dict[str, int] | None = None,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.faults = faults or Faults()
        self._answered = 0
        self._ledgers = {name: Ledger(data / f"{name}.sqlite3", limits) for name in services}
        self._targets: dict[str, Target] = {}
        for service, ledger in self._ledgers.items():
            for action in SERVICES[service]:
                target = Target(service, ledger, action.name, action)
                self._targets[f"/{service}/{action.name}"] = target
                if action.undo:
                    undo = Target(service, ledger, action.undo, None)
                    self._targets[f"/{service}/{action.undo}"] = undo

    def close(self) -> None:
        for ledger in self._ledgers.values():
            ledger.close()

    def delay_s(self, request: Request) -> float:
        target = self._targets.get(request.path)
        if not target:
            return 0.0
        rule = self.faults.rule(target.service, target.name)
        if not rule.delay_ms:
            return 0.0
        try:
            call = read_call(request, target)
        except ValueError:
            return 0.0
        return self.faults.delay_s(rule, (call.business_key, call.action), call.attempt)

    def answer(self, request: Request) -> Answer | None:
        """Answer one request; None: the work is done, but the answer shall be lost."""
        self._answered += 1
        if target := self._targets.get(request.path):
            if request.method != "POST":
                return failure(405, "method_not_allowed", "Actions are called with POST.")
            return self._serve(request, target)
        match request.method, request.path:
            case "GET", "/_health":
                return ok(self._health())
            case "GET", "/_effects":
                return self._list_effects(request.query)
            case "GET" | "POST" | "DELETE", "/_faults":
                return self._set_faults(request)
        return failure(404, "unknown_action", f"No service here knows {request.path}.")

    def _serve(self, request: Request, target: Target) -> Answer | None:
        try:
            call = read_call(request, target)
        except ValueError as error:
            return failure(400, "bad_request", str(error))
        rule = self.faults.rule(target.service, target.name)
        fault = self.faults.choose(
            rule, (call.business_key, call.action), call.attempt, call.generation
        )
        if target.action:
            answer = target.ledger.act(call, target.action, fault)
        else:
            answer = target.ledger.undo(call, fault)
        return with_retry_after(answer, rule)

    def _health(self) -> dict[str, Any]:
        return {"services": list(self._ledgers), "pid": os.getpid(), "answered": self._answered}

    def _list_effects(self, query: str) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(query).items() if name in ALL}
        if len(asked) != 1:
            return failure(400, "bad_request", "Ask by saga_id or by business_key.")
        ((column, value),) = asked.items()
        return ok(
            {
                "effects": [
                    {"service": service, **row}
                    for service, ledger in self._ledgers.items()
                    for row in ledger.effects(column, value)
                ]
            }
        )

    def _set_faults(self, request: Request) -> Answer:
        try:
            if request.method == "DELETE":
                self.faults.clear()
            elif request.method == "POST":
                self.faults.update(read_object(request.body))
        except ValueError as error:
            return failure(400, "bad_request", str(error))
        return ok(self.faults.as_json())


def read_call(request: Request, target: Target) -> Call:
    """Return the call that a request describes. Raises ValueError saying what is missing."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise ValueError("The header Idempotency-Key is missing.")
    data = read_object(request.body)
    try:
        return Call(
            idempotency_key=key,
            saga_id=str(data["saga_id"]),
            business_key=str(data["business_key"]),
            step=str(data["step"]),
            action=target.name,
            direction="forward" if target.action else "backward",
            attempt=int(data.get("attempt", 1)),
            input=dict(data.get("input") or {}),
            undoes=request.headers.get("sagadesk-undoes", ""),
        )
    except KeyError as missing:
        raise ValueError(f"{missing.args[0]} is missing.") from None
    except TypeError:
        raise ValueError("attempt is a number and input is an object.") from None


def read_object(body: bytes) -> dict[str, Any]:
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError("The body is no JSON object.")
    return data


def with_retry_after(answer: Answer | None, rule: Rule) -> Answer | None:
    if answer and answer.status == 503:
        return answer._replace(retry_after_s=rule.retry_after_s)
    return answer


def ok(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body, ensure_ascii=False))
