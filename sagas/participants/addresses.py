"""Where calls may go: addresses are compared by their parts, never as texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from urllib3.util import parse_url


def begins_with_one_of(address: str, allowed: Iterable[str]) -> bool:
    """Say whether scheme and host are those of one of them, and the path begins with its path.

    The port must be the same where the allowed address has one.
    """
    target = parse_url(address)
    for prefix in map(parse_url, allowed):
        if (prefix.scheme, prefix.host) != (target.scheme, target.host):
            continue
        path, wanted = target.path or "/", (prefix.path or "/").rstrip("/")
        same_port = prefix.port is None or prefix.port == target.port
        within = path == wanted or path.startswith(wanted + "/")
        if same_port and within and not climbs(path):
            return True
    return False


def climbs(path: str) -> bool:
    """Say whether a path has parts such as "..", so that it leads elsewhere than it begins.

    Servers may take %2E for a dot and %2F for a slash before they follow "..".
    """
    return bool({".", ".."} & set(re.split(r"[/\\]", unquote(path))))
