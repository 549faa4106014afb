PYTHON ?= python3
BIN = .venv/bin

.PHONY: run test check style messages requirements
.DELETE_ON_ERROR:

run: .venv/run  ## the page, a worker and a stand-in for Constant Contact on this machine
	@$(BIN)/python manage.py demo

test: .venv/dev  ## all tests, on SQLite and on PostgreSQL, and what they cover
	$(BIN)/python -m pytest -m "not browser and not long" --cov --cov-report=term
	$(BIN)/python -m pytest -m "browser or long"
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m "not browser and not once"

check: style test  ## all that a change must pass

style: .venv/dev  ## style, types, and the direction of dependencies
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

DESK = provisioning/admin/* provisioning/desk/* provisioning/management/* provisioning/models.py provisioning/gateway.py \
	provisioning/search.py signup/admin.py signup/brand/* templates/admin/* tests/*
messages: .venv/run  ## collect what customers read into the catalogs of translations, and compile these (by GNU gettext)
	$(BIN)/python manage.py makemessages -l es -l fr --no-location --no-wrap --no-obsolete $(DESK:%=-i "%")
	$(BIN)/python manage.py compilemessages -i .venv

requirements: .venv/dev  ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --generate-hashes --no-strip-extras --no-header --no-annotate -qo requirements.txt
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --generate-hashes --no-strip-extras --no-header --no-annotate --extra dev -qo requirements-dev.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed, and $(PYTHON) is " \
		+ sys.version.split()[0] + ". Name a newer one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv

.venv/run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
