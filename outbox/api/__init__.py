"""The REST API of the outbox, and what every app's API is built from (docs/api.md)."""
