"""Serve the stock on 127.0.0.1: python -m examples.django_service --port 9201 --data DIR"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import django
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.django_service")
    parser.add_argument("--port", type=int, default=9201, help="0: any free one (default: 9201)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the SQLite file")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "examples.django_service.settings"
    os.environ["STOCK_DATABASE"] = str(options.data / "stock.sqlite3")
    django.setup()
    call_command("check")
    call_command("migrate", verbosity=0)
    server = ThreadedWSGIServer(("127.0.0.1", options.port), QuietHandler)
    server.set_app(get_wsgi_application())
    print(f"http://127.0.0.1:{server.server_port}/StockService", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
