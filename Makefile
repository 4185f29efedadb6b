# make run    serve on this machine; anyone may publish to lab/** and chat/**
# make test   all checks that a change has to pass
# make docs   the book, in docs/_build/html
# make faults kill and cut under load; FAULTS="--bus redis --faults 200"
# make fuzz   send what no client should send; FUZZ="--minutes 60"
# make soak   let readers come and go; SOAK="--minutes 30"
# make bystander  how long a client waits while others abuse the server
# make bare   follow README and tutorial in a bare Debian 12, as root
# make bench  measure beside other servers; BENCH="--short" takes five minutes
# make client build comet.js and comet.classic.js
# make clean  remove all files that these make
#
# All targets use .venv, which is made again when setup.cfg changes.  PYTHON is the
# interpreter that makes it.  TRIALFLAGS go to trial.

PYTHON ?= python3
BARE ?=
FAULTS ?= --bus sqlite
FUZZ ?=
BENCH ?=
BYSTANDER ?=
SOAK ?=
TRIALFLAGS ?= --reporter=bwverbose --jobs=2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
MODULES := client/node_modules/.package-lock.json

.DEFAULT_GOAL := run
.NOTPARALLEL:
.SILENT:
.PHONY: run test lint mypy trial programs docs faults fuzz soak bystander packaging bare bench client clean

run: $(VENV)/run.stamp
	echo "== twistd -n comet --demo"
	exec $(BIN)/twistd -n comet --demo

test: lint mypy trial docs packaging
	echo "== all checks have passed"

lint: $(VENV)/test.stamp
	echo "== ruff"
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check .

mypy: $(VENV)/test.stamp
	echo "== mypy"
	$(BIN)/mypy

trial: $(VENV)/test.stamp programs $(MODULES)
	echo "== trial"
	$(BIN)/trial $(TRIALFLAGS) tests

programs:
	sh .ci/programs nginx:nginx-light haproxy caddy curl php:php-cli redis-server cc:gcc \
		chromium firefox-esr node:nodejs npm

docs: $(VENV)/test.stamp
	echo "== docs"
	$(BIN)/sphinx-build -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python docs/_ext/searched.py docs/_build/html
	$(BIN)/python docs/_ext/outside.py docs/_build/outside
	$(BIN)/pydoctor --quiet

faults: $(VENV)/test.stamp
	$(BIN)/python -m tests.faults $(FAULTS)

fuzz: $(VENV)/test.stamp
	$(PIP) install --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(FUZZ)

soak: $(VENV)/test.stamp
	$(BIN)/python -m tests.soak $(SOAK)

bystander: $(VENV)/test.stamp
	$(BIN)/python -m tests.bystander $(BYSTANDER)

bench: $(VENV)/run.stamp
	$(PIP) install --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

packaging: $(VENV)/test.stamp
	echo "== packaging"
	$(BIN)/python -m tests.packaging.check

bare: $(VENV)/test.stamp
	sh .ci/programs debootstrap unshare:util-linux ip:iproute2
	echo "== bare"
	$(BIN)/python -m tests.packaging.bare $(BARE)

client: $(MODULES)
	node client/build.mjs

# No package has to run a script to be installed.
$(MODULES): client/package-lock.json
	echo "== installing what builds and tests the client"
	npm ci --prefix client --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(VENV)/run.stamp: setup.cfg
	echo "== making $(VENV)"
	sh .ci/makevenv "$(PYTHON)" $(VENV)
	echo "== installing comet in it"
	$(PIP) install --editable '.[cli,metrics,tokens,hooks]'
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	echo "== installing what the tests need"
	$(PIP) install --editable '.[test,dev,docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist comet_push.egg-info _trial_temp* .coverage .coverage.* htmlcov
	rm -rf docs/_build benchmarks/build client/node_modules
	rm -rf .hypothesis .mypy_cache .ruff_cache .tox twisted/plugins/dropin.cache
	find comet tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +
