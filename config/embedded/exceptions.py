class EmbeddedError(Exception):
    """Something keeps the servers from running; the message says what, where and how to mend it."""


class AlreadyRunning(EmbeddedError):
    """Another launcher holds this home."""
