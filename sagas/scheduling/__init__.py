"""Sagas that start by schedule: rows of django-celery-beat, and what their firings start."""
