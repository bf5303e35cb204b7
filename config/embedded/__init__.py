"""PostgreSQL and Valkey of this checkout, and the one supervisor behind `make run`.

Nothing here imports Django or reads the settings: the servers must be up before either.
"""
