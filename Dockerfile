# The digest names one exact image, for any processor. docs/production.md says how to update it.
ARG PYTHON=python:3.12.14-slim-trixie@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${PYTHON} AS build
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /app
# requirements-extras.txt also has the packages for Sentry and OpenTelemetry.
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-extras.txt ./
RUN pip install --no-cache-dir --require-hashes -r ${REQUIREMENTS}
COPY . .
RUN python manage.py collectstatic --no-input && python -m compileall -q signup provisioning

FROM ${PYTHON}
# For `manage.py backup` and `restore` with PostgreSQL.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --no-create-home signup && install -d -o signup -g signup /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATABASE_URL=sqlite:////data/db.sqlite3
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "\
from urllib.request import urlopen; \
urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["sh", "-c", "python manage.py migrate --no-input && exec python manage.py serve --bind 0.0.0.0:8000"]
