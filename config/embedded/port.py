"""The TCP port of the console."""

import errno
import socket

from config.embedded.exceptions import EmbeddedError


def check_free(port: int) -> None:
    """Raise, with what to do, when the console could not listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "is taken by another program" if error.errno == errno.EADDRINUSE else error
            raise EmbeddedError(
                f"Port {port} {reason}. Choose another one: make run PORT={port + 1}"
            ) from None


def answers(port: int) -> bool:
    """Say whether something answers HTTP there, with whatever status."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
