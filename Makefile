PYTHON ?= python3
BIN = .venv/bin
# Tests run on every core, in one process more, because many wait for something. The output names the slowest ones.
PYTEST = $(BIN)/python -m pytest --numprocesses=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist=worksteal --durations=15
# Without bytecode, which some images turn off, each process that a test starts would compile the product again.
export PYTHONDONTWRITEBYTECODE =
EVERY_TIME = not browser and not long and not pace and not attack

.PHONY: run test test-quick coverage test-sqlite test-postgresql test-browser test-long test-pace test-nightly test-attack test-image release-files check style messages requirements
.DELETE_ON_ERROR:

run: .venv/run  ## the page, a worker, and a Constant Contact sandbox on this machine
	@$(BIN)/python manage.py demo

# A certified OpenID provider for login tests, and Mozilla's header scanner.
NODE = $(if $(shell command -v npm),$(patsubst %,tests/%/node_modules/.package-lock.json,openid observatory))
tests/%/node_modules/.package-lock.json: tests/%/package-lock.json
	npm ci --prefix tests/$* --ignore-scripts --no-audit --no-fund
	@touch $@

test: test-sqlite test-postgresql test-browser  ## all tests that a change must pass: on SQLite, on PostgreSQL, and in a browser

test-quick: .venv/dev  ## one minute of tests, on SQLite, to run often
	$(PYTEST) -m "not slow and $(EVERY_TIME)"

test-sqlite: .venv/dev $(NODE)  # With COVERAGE, the tests of `provisioning` run apart: they must cover it, which takes them longer.
	$(if $(COVERAGE),$(PYTEST) tests/provisioning -m "$(EVERY_TIME)" --cov --cov-report=term)
	$(PYTEST) tests $(if $(COVERAGE),--ignore=tests/provisioning) -m "$(EVERY_TIME)"

coverage: .venv/dev $(NODE)  ## how much of both packages the tests cover; it makes them twice as slow
	$(PYTEST) -m "$(EVERY_TIME)" --cov=signup --cov --cov-report=term

test-postgresql: .venv/dev $(NODE)
	$(BIN)/python -m tests.postgresql $(PYTEST) -m "database and not once and not long and not pace and not attack"

test-browser: .venv/dev $(NODE)
	$(PYTEST) tests/browser -m "not long"

test-long: .venv/dev $(NODE)  ## the crash matrix, the chaos test, long sequences of events, on both databases, and every page of the admin
	$(PYTEST) -m long
	$(BIN)/python -m tests.postgresql $(PYTEST) -m "long and not browser"

test-pace: .venv/dev  ## whether workers use the rate limit fully and never exceed it; needs an idle machine
	$(BIN)/python -m pytest -m pace
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m pace

test-nightly: test-pace test coverage test-long  ## everything, then `test` three more times, in random order and with every core busy
	for round in 1 2 3; do \
		$(BIN)/python -m tests.stress $(PYTEST) -m "not long and not pace and not attack" && \
		$(BIN)/python -m tests.stress $(BIN)/python -m tests.postgresql $(PYTEST) -m "database and not long and not pace and not attack" || exit 1; \
	done

test-attack: .venv/dev tests/naughty/node_modules/.package-lock.json  ## the Big List of Naughty Strings, schemathesis at length, and Wapiti against a real installation
	$(PYTEST) -m attack
	$(BIN)/python -m tests.wapiti

test-image: .venv/dev  ## build the image with buildah, start it, and use it; needs root on Debian
	$(BIN)/python -m tests.image

check: style test  ## everything that a change must pass

style: .venv/dev  ## style, types, and import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

UNTRANSLATED = provisioning/admin/* provisioning/admin_site/* provisioning/management/* provisioning/models.py provisioning/operations.py provisioning/gateway/* \
	provisioning/search/* signup/admin.py signup/brand/* signup/single_sign_on/staff.py templates/admin/* tests/*
LOCALES = $(shell $(BIN)/python -c 'from signup.settings import LANGUAGES; print(*(f"-l {code}" for code, _ in LANGUAGES if code != "en"))')
messages: .venv/run  ## collect customers' texts into the translation catalogs, and compile them (needs GNU gettext)
	$(BIN)/python manage.py makemessages $(LOCALES) --no-location --no-wrap --no-obsolete $(UNTRANSLATED:%=-i "%")
	perl -ni -e 'print unless /^"(POT-Creation-Date|Report-Msgid-Bugs-To):/' */locale/*/LC_MESSAGES/django.po  # These change each time.
	$(BIN)/python manage.py compilemessages -i .venv

DIST = dist
RELEASE = constant-contact-signup-$(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
release-files: .venv/dev  ## what a release consists of besides the image: the source, the list of components (SBOM), checksums
	rm -rf $(DIST) && mkdir $(DIST)
	git archive --prefix=$(RELEASE)/ HEAD | gzip -n > $(DIST)/$(RELEASE).tar.gz
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible --validate -o $(DIST)/sbom.cdx.json
	cd $(DIST) && sha256sum * > SHA256SUMS

PIN = $(BIN)/uv pip compile pyproject.toml $(UPGRADE) --universal --generate-hashes --no-strip-extras --no-header --no-annotate
UPGRADE = --upgrade
requirements: .venv/dev  ## pin the newest versions that pyproject.toml allows
	$(PIN) -qo requirements.txt
	$(PIN) --all-extras -qo requirements-extras.txt
	$(PIN) --all-extras --group dev -qo requirements-dev.txt

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
