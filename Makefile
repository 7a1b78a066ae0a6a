# Set-up plus one command, nothing hidden. Needs python3 >= 3.11 and make; no root, conda, Quarto or R.
#   make paper        regenerate the paper:  results/<cohort>/manuscript/paper.html|pdf|docx
#   make audit        what a stranger checks it with: results/<cohort>/audit/index.html, crate, bag and paperwork
#   make release      what may leave the house, small groups suppressed: results/<cohort>/release/ (docs/disclosure.md)
#   make test         check the code
#   make crosscheck   recompute the reference values in R (needs R with survival, cmprsk, MatchIt, metafor, mets and survey)
#   make bench        measure
#   make clean        remove everything that is built
#   make lock         renew the locks (maintainers)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: paper audit release test lint schemas crosscheck bench clean lock environment environment-dev

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Another cohort or more Snakemake options: make paper ARGS="--config cohort=my_cohort"
ARGS ?=

# Bytecode saves some seconds a job; hash order, time zone and locale must not reach the results.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONHASHSEED := 0
export TZ := UTC
export LC_ALL := C.UTF-8
unexport PYTHONPATH

# In a clone that came with results, those that match this tree are taken over instead of being made again.
paper audit release: environment
	test -d .snakemake/metadata || test -z "$(wildcard results/*/records)" || $(BIN)/sorafenib-rfa adopt
	$(BIN)/snakemake $@ $(ARGS)

test: environment-dev lint
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

lint: environment-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

crosscheck: environment-dev
	$(BIN)/python tests/reference/crosscheck.py $(ARGS)

bench: environment-dev
	$(BIN)/python benchmarks/cox_engine.py
	$(BIN)/python benchmarks/bench.py $(ARGS)

clean:
	rm -rf results logs benchmarks/rules data/raw/synthetic data/raw/colon_adjuvant .snakemake

environment: $(VENV)/.paper
environment-dev: $(VENV)/.dev

$(VENV)/.paper: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version). Try: make paper PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib src || true
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.paper
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	touch $@

schemas: environment
	$(BIN)/python -m sorafenib_rfa.config.schema

LOCK := uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11
lock: environment-dev
	$(BIN)/$(LOCK) pyproject.toml -o requirements.lock
	$(BIN)/$(LOCK) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/python envs/from_lock.py
