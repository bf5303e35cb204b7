"""Who performs the steps: local callables and HTTP services."""
