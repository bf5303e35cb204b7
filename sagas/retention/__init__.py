"""What becomes of sagas that ended long ago, and of what is kept about them (docs/retention.md)."""
