"""The REST API of sagas, definitions, participants and replies (docs/api.md)."""
