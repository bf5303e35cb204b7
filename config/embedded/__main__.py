"""`python -m config.embedded run | exec | status | reset`."""

import argparse
import sys

from config.embedded.console import complain
from config.embedded.exceptions import EmbeddedError


def main() -> int:
    options = parse(sys.argv[1:])
    if sys.platform == "win32":
        complain("The embedded servers need Linux or macOS: use WSL or Docker (compose.yaml).")
        return 1
    # Imported late: the modules behind these need a POSIX system.
    from config.embedded import command, supervisor

    try:
        if options.verb == "run":
            return supervisor.run(
                supervisor.Options(port=options.port, workers=options.workers, demo=options.demo)
            )
        if options.verb == "exec":
            return command.execute(options.command, temporary=options.temporary)
        if options.verb == "reset":
            return command.reset(confirmed=options.yes)
        return command.status()
    except EmbeddedError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run the servers and the whole console until Ctrl-C")
    run.add_argument("--port", type=port, default=8000, help="of the console (default 8000)")
    run.add_argument("--workers", type=positive, default=2, help="Celery processes (default 2)")
    run.add_argument(
        "--demo", action=argparse.BooleanOptionalAction, default=True, help="feed example sagas"
    )
    execute = verbs.add_parser("exec", help="run one command while the servers run")
    execute.add_argument("--temporary", action="store_true", help="over new data, thrown away")
    execute.add_argument("command", nargs="+", help="-- then the command and its arguments")
    verbs.add_parser("status", help="say whether it runs here, and where")
    reset = verbs.add_parser("reset", help="remove the data, after a question")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
