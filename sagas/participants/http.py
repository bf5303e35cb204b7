"""HTTP calls of participants: sent over kept-alive connections, to allowed addresses only.

A refused connection was never sent; an answer that got lost leaves the outcome unknown.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import urllib3
from django.conf import settings
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ResponseError,
)

from sagas.exceptions import AddressNotAllowed
from sagas.participants.addresses import begins_with_one_of
from sagas.participants.answers import Answer, Response
from sagas.participants.calls import Call, describe
from sagas.participants.described import DescribedCall
from sagas.participants.descriptions import Described
from sagas.participants.protocol import ProtocolCall, Request
from sagas.participants.templates import MappingFailed

CONNECT_TIMEOUT_S = 3.0
CHUNK_BYTES = 16_384


class Exchange(Protocol):
    """What is sent, and what its answer means."""

    @property
    def max_bytes(self) -> int: ...

    def request(self) -> Request: ...

    def read(self, response: Response) -> Answer: ...


def check_address(address: str) -> None:
    """Refuse an address that is not on the allow-list. Raises AddressNotAllowed."""
    if not begins_with_one_of(address, settings.SAGAS_ALLOWED_ADDRESSES):
        raise AddressNotAllowed(address)


class HttpClient:
    """Calls participants over kept-alive connections; safe to use from many threads."""

    def __init__(self, *, concurrency: int) -> None:
        self._pool = urllib3.PoolManager(maxsize=concurrency, retries=False, timeout=30)

    def call(
        self, address: str, call: Call, *, timeout_s: float, described: Described | None = None
    ) -> Answer:
        """Make the call and return its answer. Raises nothing: every outcome is an answer.

        A call that is not described speaks our own protocol.
        """
        try:
            return self._exchange(_exchange_of(address, call, described), timeout_s)
        except (AddressNotAllowed, LocationValueError, MappingFailed) as error:
            return Answer("failed", error=_describe(error, retryable=False))
        except (NewConnectionError, ConnectTimeoutError) as error:
            # Never sent.
            return Answer("failed", error=_describe(error, retryable=True))
        except (HTTPError, OSError) as error:
            return Answer("unknown", error=_describe(error, retryable=True))

    def probe(self, address: str, call: Call, *, timeout_s: float, described: Described) -> Answer:
        """Ask as a `Described.probe` says whether a call took effect.

        The answer is succeeded, failed, absent or unknown. Raises nothing.
        """
        try:
            return self._exchange(DescribedCall(address, call, described), timeout_s)
        except (AddressNotAllowed, LocationValueError, MappingFailed) as error:
            return Answer("unknown", error=_describe(error, retryable=False))
        except (HTTPError, OSError) as error:
            return Answer("unknown", error=_describe(error, retryable=True))

    def _exchange(self, exchange: Exchange, timeout_s: float) -> Answer:
        until = time.monotonic() + timeout_s
        request = exchange.request()
        check_address(request.url)
        response = self._pool.request(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), total=timeout_s),
            redirect=False,
            preload_content=False,
        )
        body = _read(response, until=until, limit=exchange.max_bytes)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return exchange.read(Response(response.status, body, headers))

    def close(self) -> None:
        self._pool.clear()


def _exchange_of(address: str, call: Call, described: Described | None) -> Exchange:
    if described is None:
        return ProtocolCall(address, call)
    return DescribedCall(address, call, described)


def _read(response: urllib3.BaseHTTPResponse, *, until: float, limit: int) -> bytes:
    """Return the body, or as much of it as shows that it is too large.

    Raises ResponseError past `until` (monotonic): a socket's own timeout counts from its last
    byte, so that an answer that trickles would never end.
    """
    body = b""
    while chunk := response.read1(CHUNK_BYTES):
        body += chunk
        too_late = time.monotonic() > until
        if too_late or len(body) > limit:
            # The rest is not worth reading; without it the connection cannot be used again.
            response.close()
            if too_late:
                raise ResponseError("The answer did not end in time.")
            break
    response.release_conn()
    return body


def _describe(error: Exception, *, retryable: bool) -> dict[str, Any]:
    return describe(type(error).__name__, str(error), retryable=retryable)
