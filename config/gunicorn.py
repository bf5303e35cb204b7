"""How gunicorn serves the console; the command line says where it listens."""

from pathlib import Path

# One process with threads: the console waits for the database, not for the CPU.
worker_class = "gthread"
workers = 1
threads = 4
timeout = 60
graceful_timeout = 5
keepalive = 5
control_socket_disable = True
# The heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
