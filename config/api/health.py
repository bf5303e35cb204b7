"""Whether this process can work: for probes, without a login and whatever their Host header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.heartbeat import read_pulse

PATH = "/api/v1/health"


class Health(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        choices=["ok", "degraded", "down"],
        help_text="degraded: Redis is away; nothing is lost, wake-ups wait for beat's sweeps.",
    )
    database = serializers.ChoiceField(choices=["up", "down"])
    redis = serializers.ChoiceField(choices=["up", "down"])
    beat_seconds = serializers.FloatField(
        allow_null=True, help_text="Since beat's last sign of life; null: none is known."
    )
    worker_seconds = serializers.FloatField(allow_null=True)


def examine() -> dict[str, Any]:
    """Return what `Health` tells: one query and one question to Redis of at most 100 ms."""
    database = database_is_up()
    pulse = read_pulse()
    status = "down" if not database else "ok" if pulse.redis_is_up else "degraded"
    return {
        "status": status,
        "database": "up" if database else "down",
        "redis": "up" if pulse.redis_is_up else "down",
        "beat_seconds": pulse.beat_s,
        "worker_seconds": pulse.worker_s,
    }


def database_is_up() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def status_code(health: dict[str, Any]) -> int:
    return 503 if health["status"] == "down" else 200


class HealthView(APIView):
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    http_method_names = ["get", "head"]

    @extend_schema(responses={200: Health, 503: Health}, auth=[])
    def get(self, request: Request) -> Response:
        """Say whether database and Redis answer; 503 while the database does not."""
        health = examine()
        return Response(health, status=status_code(health))


def answer_probes(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware, the first of all: probes often come without a valid Host header."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD") and request.path.rstrip("/") == PATH:
            health = examine()
            return JsonResponse(health, status=status_code(health))
        return get_response(request)

    return middleware
