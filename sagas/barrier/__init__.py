"""The barrier: calls of participants made harmless to repeat, to swap and to come late.

An app of its own for any Django service: it needs Django and nothing else of this project.
docs/barrier.md says how to use it.
"""
