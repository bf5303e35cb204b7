"""The REST API at /api/v1/: addresses, errors and schema (docs/api.md). Apps bring the views."""

from config.api.errors import envelope_errors

__all__ = ["envelope_errors"]
