"""Participants of the example sagas: an HTTP server of its own, no Django.

`__main__` starts it, `protocol` speaks HTTP, `app` routes a request to its service, `services`
knows the trade, `ledger` keeps each service's tables and the barrier, `faults` makes things fail.
"""
