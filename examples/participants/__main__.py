"""Start participants: python -m examples.participants --service FlightService --data DIR"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from examples.participants.app import Participants
from examples.participants.faults import Faults, Kind
from examples.participants.protocol import Connection
from examples.participants.services import SERVICES


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.participants",
        description="Serve participants of the example sagas on 127.0.0.1.",
    )
    parser.add_argument(
        "--service", action="append", choices=SERVICES, help="repeat it; all without it"
    )
    parser.add_argument("--port", type=int, default=9101, help="0: any free one (default: 9101)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the SQLite files")
    parser.add_argument("--faults", type=Path, help="JSON file; examples/README.md has the format")
    parser.add_argument(
        "--fault",
        nargs=3,
        action="append",
        default=[],
        metavar=("SERVICE/ACTION", "KIND", "RATE"),
        help=f"one rate more; KIND: {', '.join(Kind)}",
    )
    parser.add_argument(
        "--limit",
        nargs=2,
        action="append",
        default=[],
        metavar=("RESOURCE", "NUMBER"),
        help="how much of a flight, hotel or SKU may be held at a time",
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started this ends"
    )
    return parser.parse_args(arguments)


def read_faults(options: argparse.Namespace) -> Faults:
    faults = Faults(json.loads(options.faults.read_text()) if options.faults else None)
    for name, kind, rate in options.fault:
        rule = faults.as_json()["rules"].get(name, {})
        faults.update({"rules": {name: rule | {Kind(kind).value: float(rate)}}})
    return faults


@asynccontextmanager
async def serving(app: Participants, port: int) -> AsyncIterator[str]:
    """Serve while the context lasts; gives the address, which no other host can reach."""
    connections: set[Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(app, connections), "127.0.0.1", port, backlog=512
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        await server.wait_closed()
        app.close()


async def run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    app = Participants(
        options.service or list(SERVICES),
        options.data,
        faults=read_faults(options),
        limits={resource: int(number) for resource, number in options.limit},
    )
    watching = asyncio.create_task(watch_parent(stop)) if options.with_parent else None
    async with serving(app, options.port) as address:
        print(address, flush=True)
        await stop.wait()
    if watching:
        watching.cancel()


async def watch_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    stop.set()


if __name__ == "__main__":
    asyncio.run(run(read_arguments()))
