"""What all workers know of a participant together: one hash in Redis, one script that changes it.

Redis' clock decides here; nothing that the engine promises hangs on it. The hash of a participant
has its breaker, the time of its next call by the limit of calls per second, and what each worker
has in the air, with the end of that worker's lease: what a killed worker had is free after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outbox.quick_redis import RestingRedis, key, run_script

# A participant that nobody calls for so long is forgotten.
LIFE_S = 86_400

Answer = tuple[int, str, int, int, str, str]
resting = RestingRedis("Redis does not tell limits (%d times; each worker keeps its share)")


def exchange(
    worker: str, reports: Sequence[tuple[str, Sequence[str | int | float]]], *, lease_s: float
) -> list[Answer] | None:
    """Hand in a worker's reports, as limits.Report has them; None when Redis is away.

    Returns for each: calls granted, state of the breaker, µs to wait, workers, change, why.
    """
    keys = [key_of(name) for name, _ in reports]
    args: list[Any] = [worker, int(lease_s * 1e6), LIFE_S]
    for _, numbers in reports:
        args += numbers
    answers = resting.run(lambda: run_script(_SCRIPT, keys=keys, args=args))
    if answers is None:
        return None
    return [
        (granted, state.decode(), wait, workers, change.decode(), why.decode())
        for granted, state, wait, workers, change, why in answers
    ]


def key_of(name: str) -> str:
    """Return where Redis keeps what it knows of a participant."""
    return key(f"participant:{name}")


# The rules of breaker.Breaker and limits.AloneLimits; tests hold the two together.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local me, lease, life = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local LEAST_CALLS, BURST, PROBE_PAUSE = 20, 100000, 500000
local answers = {}

local function text(number)
  return string.format('%.0f', number)
end

for index, key in ipairs(KEYS) do
  local at = 3 + (index - 1) * 13
  local function arg(n) return tonumber(ARGV[at + n]) end
  local in_air, wanted, oks, outages, streak = arg(1), arg(2), arg(3), arg(4), arg(5)
  local probe, most, rate, failures, ratio = ARGV[at + 6], arg(7), arg(8), arg(9), arg(10)
  local window, open_for, reset = arg(11) * 1000000, arg(12) * 1000000, arg(13)
  local is_on = failures > 0 or ratio > 0

  local h = {}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
  local function num(name) return tonumber(h[name] or 0) end
  local state, change, why = h.state or 'closed', '', ''

  local function turn(to)
    state = to
    h.state, h.since, h.probe_by = to, text(now), ''
    h.streak, h.began, h.calls, h.bad, h.calls_before, h.bad_before = 0, text(now), 0, 0, 0, 0
  end
  local function trip()
    turn('open')
    h['until'] = text(now + open_for)
    change = 'opened'
  end

  -- time and operators
  if reset > num('reset') then
    h.reset = ARGV[at + 13]
    if state ~= 'closed' then turn('closed'); change = 'closed' end
  end
  if not is_on and state ~= 'closed' then turn('closed'); change = 'closed' end
  if state == 'open' and now >= num('until') then turn('half_open') end

  -- what has come back
  if state == 'half_open' then
    if h.probe_by == me and probe ~= 'flying' then
      h.probe_by = ''
      if probe == 'ok' then turn('closed'); change = 'closed' end
      if probe == 'outage' then trip() end
    elseif h.probe_by == me then
      h.probe_until = text(now + lease)
    elseif now > num('probe_until') then
      h.probe_by = ''
    end
  elseif state == 'closed' and is_on then
    if now - num('began') >= window / 2 then
      local recent = now - num('began') < window
      h.calls_before, h.bad_before = recent and num('calls') or 0, recent and num('bad') or 0
      h.began, h.calls, h.bad = text(now), 0, 0
    end
    h.calls, h.bad = num('calls') + oks + outages, num('bad') + outages
    h.streak = oks > 0 and streak or num('streak') + outages
    if outages > 0 then
      local calls, bad = h.calls + num('calls_before'), h.bad + num('bad_before')
      if failures > 0 and h.streak >= failures then
        why = h.streak .. ' in a row'
      elseif ratio > 0 and calls >= LEAST_CALLS and bad * 100 >= ratio * calls then
        why = bad .. ' of ' .. calls .. ' calls'
      end
      if why ~= '' then trip() end
    end
  end

  -- who shares the limits
  local mine, others, workers = 'air:' .. me, 0, 1
  for field, value in pairs(h) do
    if string.sub(field, 1, 4) == 'air:' and field ~= mine then
      local count, ends = string.match(value, '^(%d+) (%d+)$')
      if now > tonumber(ends) then
        redis.call('HDEL', key, field)
        h[field] = nil
      else
        others, workers = others + tonumber(count), workers + 1
      end
    end
  end

  -- what may be had
  local granted, wait = wanted, 0
  if state == 'open' then
    granted, wait = 0, num('until') - now
  elseif state == 'half_open' then
    granted, wait = math.min(granted, (h.probe_by or '') == '' and 1 or 0), PROBE_PAUSE
  end
  if most > 0 then
    granted = math.max(0, math.min(granted, most - others - in_air))
  end
  if rate > 0 and state ~= 'open' then
    local pause = 1000000 / rate
    local next_at = math.max(num('next_at'), now - math.max(pause, BURST))
    granted = math.min(granted, math.floor((now - next_at) / pause + 0.000001))
    next_at = next_at + granted * pause
    h.next_at = text(next_at)
    wait = math.max(wait, next_at + pause - now)
  end
  if state == 'half_open' and granted > 0 then
    h.probe_by, h.probe_until = me, text(now + lease)
  end

  h.state = state
  h[mine] = text(in_air + granted) .. ' ' .. text(now + lease)
  local fields = {}
  for field, value in pairs(h) do
    fields[#fields + 1] = field
    fields[#fields + 1] = tostring(value)
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, life)
  if granted == wanted and state ~= 'open' then wait = 0 end
  answers[index] = {granted, state, math.ceil(wait), workers, change, why}
end
return answers
"""
