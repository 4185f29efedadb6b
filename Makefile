# make run    serve on this machine, with the lab page's channels open
# make test   everything that must hold before a change goes in
# make clean  remove what these make
#
# Both work in .venv, which is made anew whenever setup.cfg changes.
# PYTHON is the interpreter to make it with; TRIALFLAGS go to trial.

PYTHON ?= python3
TRIALFLAGS ?= --reporter=bwverbose

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := run
.NOTPARALLEL:
.SILENT:
.PHONY: run test lint mypy trial packaging clean

run: $(VENV)/run.stamp
	echo "== twistd -n comet --demo"
	exec $(BIN)/twistd -n comet --demo

test: lint mypy trial packaging
	echo "== all of it holds"

lint: $(VENV)/test.stamp
	echo "== ruff"
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check . || \
		{ echo "to be formatted, with '$(BIN)/ruff format':"; $(BIN)/ruff format --check .; }

mypy: $(VENV)/test.stamp
	echo "== mypy"
	$(BIN)/mypy

trial: $(VENV)/test.stamp
	echo "== trial"
	$(BIN)/trial $(TRIALFLAGS) tests

packaging: $(VENV)/test.stamp
	echo "== packaging"
	$(BIN)/python -m tests.packaging.check

$(VENV)/run.stamp: setup.cfg
	echo "== making $(VENV)"
	sh .ci/makevenv "$(PYTHON)" $(VENV)
	echo "== installing comet in it"
	$(PIP) install --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	echo "== installing what the tests need"
	$(PIP) install --editable '.[test,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist comet_push.egg-info _trial_temp* .coverage .coverage.* htmlcov
	rm -rf .hypothesis .mypy_cache .ruff_cache .tox twisted/plugins/dropin.cache
	find comet tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +
