"""The same three steps on DBOS. Runs in a virtual environment of its own; peers.py talks to it.

Each line read is a task, each line written its figures:

    throughput 1000    → starts per second, workflows ended per second
    latency 100        → p50 and p99 in milliseconds
"""

import os
import sys
import time

from dbos import DBOS


@DBOS.step()
def do(number: int) -> dict[str, int]:
    return {"number": number}


@DBOS.workflow()
def three_steps(number: int) -> None:
    do(number)
    do(number)
    do(number)


def throughput(count: int) -> tuple[float, float]:
    began = time.perf_counter()
    handles = [DBOS.start_workflow(three_steps, number) for number in range(count)]
    started = time.perf_counter()
    for handle in handles:
        handle.get_result()
    return count / (started - began), count / (time.perf_counter() - began)


def latency(count: int) -> tuple[float, float]:
    samples = []
    for number in range(count):
        time.sleep(0.03)
        began = time.perf_counter()
        DBOS.start_workflow(three_steps, number).get_result()
        samples.append((time.perf_counter() - began) * 1_000)
    samples.sort()
    return samples[(count - 1) // 2], samples[(count * 99 - 1) // 100]


def main() -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["DBOS_SYSTEM_DATABASE_URL"],
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    print("ready", flush=True)
    for line in sys.stdin:
        task, count = line.split()
        figures = {"throughput": throughput, "latency": latency}[task](int(count))
        print(*figures, flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()
