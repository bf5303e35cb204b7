"""The operator's pages of the outbox: routes, what is on its way, messages, lanes."""
