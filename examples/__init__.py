"""Sagas to run and to learn from; the console itself needs none of this."""
