"""What the launcher says to the person in front of it."""

import sys
import time


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_now(text: str) -> None:
    """Say something that happened while everything runs, with the time of day."""
    say(f"{time.strftime('%H:%M:%S')}  {text}")


def complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
