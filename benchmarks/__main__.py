"""python -m benchmarks [NAME...] [--rounds N] [--json FILE]; docs/benchmarks.md has the words."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import stage

NAMES = (
    "bulk",
    "bulk_failing",
    "single",
    "latency",
    "stored",
    "http",
    "slow",
    "fairness",
    "memory",
    "outbox",
)


def main() -> None:
    options = read_arguments()
    with stage.servers():
        from benchmarks import catalogue, result

        results = []
        for name in options.names or NAMES:
            print(f"{name} ...", flush=True)
            for one in catalogue.run(name, options.rounds):
                print(f"  {one.name}: {result.number(one.median)} {one.unit}", flush=True)
                results.append(one)
        result.show(results)
        if options.json:
            figures = [one.as_json() for one in results]
            content = {"machine": result.machine(), "results": figures}
            options.json.write_text(json.dumps(content, indent=1) + "\n")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="the median counts (default: 5)")
    parser.add_argument("--json", type=Path, help="write every round to this file")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"There is no benchmark {', '.join(sorted(unknown))}.")
    return options


if __name__ == "__main__":
    main()
