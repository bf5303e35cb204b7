"""Redis Streams: one entry per message, a batch in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis
from django.conf import settings

from outbox.cloudevents import SPEC_VERSION, source
from outbox.exceptions import Unavailable
from outbox.relay_statements import Pending
from outbox.transports.redis_client import client, is_refusal, reachable

# A script, because only there can one message of a key hold back the next; and because it answers
# with what failed only, which spares the relay parsing an id per message.
_SCRIPT = """
local failed, report = {}, {}
for i = 4, #ARGV, 6 do
    local key = ARGV[i + 2]
    if not failed[key] then
        local answer = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
            'specversion', ARGV[2], 'id', ARGV[i], 'source', ARGV[3], 'type', ARGV[i + 1],
            'subject', key, 'key', key, 'time', ARGV[i + 3],
            'headers', ARGV[i + 4], 'data', ARGV[i + 5])
        if type(answer) == 'table' and answer.err then
            failed[key] = true
            report[#report + 1] = (i - 4) / 6
            report[#report + 1] = answer.err
        end
    end
end
return report
"""


class RedisStream:
    """XADD to the stream that the target names, trimmed to about OUTBOX_STREAM_MAX_LENGTH.

    Fields: specversion, id, source, type, subject, key, time, headers (JSON), data (JSON).
    """

    def send(self, target: str, messages: Sequence[Pending]) -> Mapping[int, Exception]:
        limit = settings.OUTBOX_STREAM_MAX_LENGTH
        arguments: list[Any] = [limit, SPEC_VERSION, source()]
        for m in messages:
            arguments += (m.message_id, m.type, m.key, m.time, m.headers, m.payload)
        with reachable():
            report = client().register_script(_SCRIPT)(keys=[target], args=arguments)
        return {
            int(position): _as_error(text.decode(errors="replace"))
            for position, text in zip(report[::2], report[1::2], strict=True)
        }


def _as_error(text: str) -> Exception:
    if is_refusal(text):
        return Unavailable(f"Redis takes nothing: {text}")
    return redis.ResponseError(text)
