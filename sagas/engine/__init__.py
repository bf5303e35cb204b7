"""The shell around the core: claim, perform, record, for one saga or ten thousand."""
