PYTHON ?= python3
BIN = .venv/bin
# Where make is too old to keep the outputs apart, one after the other.
SIDE_BY_SIDE = $(if $(filter output-sync,$(.FEATURES)),--jobs=4 --output-sync=target)

.PHONY: run test test-sqlite test-postgresql test-browser test-long check style messages requirements
.DELETE_ON_ERROR:

run: .venv/run  ## the page, a worker and a stand-in for Constant Contact on this machine
	@$(BIN)/python manage.py demo

# A certified OpenID provider to log in at.
OPENID = $(if $(shell command -v npm),tests/openid/node_modules/.package-lock.json)
tests/openid/node_modules/.package-lock.json: tests/openid/package-lock.json
	npm ci --prefix tests/openid --ignore-scripts --no-audit --no-fund
	@touch $@

test: .venv/dev $(OPENID)  ## all tests, on SQLite and on PostgreSQL, and what they cover: side by side, each told of at its end
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) test-long test-browser test-postgresql test-sqlite
	$(BIN)/python -m pytest -m pace
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m pace

test-sqlite: .venv/dev $(OPENID)
	$(BIN)/python -m pytest -m "not browser and not long and not pace" --cov --cov-report=term

test-postgresql: .venv/dev $(OPENID)
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m "database and not pace"

test-browser: .venv/dev $(OPENID)
	$(BIN)/python -m pytest -m browser

test-long: .venv/dev
	$(BIN)/python -m pytest -m long

check: style test  ## all that a change must pass

style: .venv/dev  ## style, types, and the direction of dependencies
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

DESK = provisioning/admin/* provisioning/admin_site/* provisioning/management/* provisioning/models.py provisioning/gateway.py \
	provisioning/search.py signup/admin.py signup/brand/* signup/single_sign_on/staff.py templates/admin/* tests/*
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
