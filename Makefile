# Set-up plus one command, nothing hidden. Needs python3 >= 3.11 and make; no root, conda, Quarto or R.
#   make paper        regenerate the paper:  results/<cohort>/manuscript/paper.html|pdf|docx
#   make audit        what a stranger checks it with: results/<cohort>/audit/index.html, crate, bag and paperwork
#   make release      what may leave the house, small groups suppressed: results/<cohort>/release/ (docs/disclosure.md)
#   make validation_study   hold the estimators against a known truth in thousands of cohorts: docs/validation.md
#   make paper PROFILE=slurm   the same on a cluster: profiles/README.md; works with all four
#   make wheelhouse   on a node with internet: all packages into wheelhouse/; elsewhere then make paper WHEELHOUSE=wheelhouse
#   make test         check the code
#   make cluster-test check what happens on a cluster, on a real Slurm on this machine (docs/cluster.md)
#   make crosscheck   recompute the reference values in R (needs R with survival, cmprsk, MatchIt, metafor, mets and survey)
#   make bench        measure
#   make bench-scale  measure the cohort path from a thousand to a million patients (some ten minutes, 8 GB of memory)
#   make clean        remove everything that is built
#   make lock         renew the locks (maintainers)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: paper audit release validation_study test cluster-test lint schemas crosscheck bench bench-scale clean lock environment environment-dev wheelhouse

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Another cohort or more Snakemake options: make paper ARGS="--config cohort=my_cohort"
ARGS ?=
# Where the jobs run: a folder of profiles/; none: this machine. Later profiles win key by key, site.yaml is yours.
PROFILE ?=
override PROFILE := $(filter-out default,$(PROFILE))
PROFILES := $(if $(PROFILE),--workflow-profile none --profile profiles/default --profile profiles/$(PROFILE) \
  $(patsubst %,--profile %,$(wildcard profiles/$(PROFILE)/site.yaml)))
# A folder made by `make wheelhouse`: packages come from there, and from nowhere else.
WHEELHOUSE ?=
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet \
  $(if $(WHEELHOUSE),--no-index --find-links $(WHEELHOUSE))

# Bytecode saves some seconds a job; hash order, time zone and locale must not reach the results.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONHASHSEED := 0
export TZ := UTC
export LC_ALL := C.UTF-8
unexport PYTHONPATH

# In a clone that came with results, those that match this tree are taken over instead of being made again.
paper audit release validation_study: environment
	test -z "$$(find .snakemake/incomplete -type f -print -quit 2>/dev/null)" || $(BIN)/python -m sorafenib_rfa.cluster.earlier_run
	test -d .snakemake/metadata || test -z "$(wildcard results/*/records)" || $(BIN)/sorafenib-rfa adopt
	$(BIN)/snakemake $@ $(PROFILES) $(ARGS)

test: environment-dev lint
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

# A real Slurm on this machine, brought up by the tests and taken down again; needs slurm-wlm and munge.
cluster-test: environment-dev
	$(BIN)/pytest -n 2 --dist loadfile tests/cluster $(ARGS)

lint: environment-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

crosscheck: environment-dev
	$(BIN)/python tests/reference/crosscheck.py $(ARGS)

bench: environment-dev
	$(BIN)/python benchmarks/cox_engine.py
	$(BIN)/python benchmarks/bench.py $(ARGS)
	$(BIN)/python benchmarks/validation_study.py
	$(BIN)/python benchmarks/slurm_overhead.py

bench-scale: environment-dev
	$(BIN)/python benchmarks/scale.py $(ARGS)

clean:
	rm -rf results logs benchmarks/rules data/raw/synthetic data/raw/colon_adjuvant .snakemake

environment: $(VENV)/.paper $(if $(PROFILE),$(VENV)/.executor-$(PROFILE))
environment-dev: $(VENV)/.dev

$(VENV)/.paper: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version). Try: make paper PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	$(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib src || true
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.paper
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	touch $@

# Executor plugins are no part of every environment: Snakemake imports each one it finds, at every start.
$(VENV)/.executor-%: envs/executors/%.lock $(VENV)/.paper
	$(PIP_INSTALL) --no-deps --require-hashes --requirement $<
	touch $@

# Packages for the python and the kind of machine that this runs on, what the few that come as source are built with, and
# with PROFILE its plugin.
PIP_DOWNLOAD = $(PYTHON) -m pip download --disable-pip-version-check --quiet --require-hashes --no-deps \
  --dest $(or $(WHEELHOUSE),wheelhouse) --requirement
wheelhouse:
	$(PIP_DOWNLOAD) requirements.lock
	$(PIP_DOWNLOAD) envs/build.lock
	$(if $(PROFILE),$(PIP_DOWNLOAD) envs/executors/$(PROFILE).lock)

schemas: environment
	$(BIN)/python -m sorafenib_rfa.config.schema

LOCK := uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11
lock: environment-dev
	$(BIN)/$(LOCK) pyproject.toml -o requirements.lock
	$(BIN)/$(LOCK) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/python envs/from_lock.py
	$(BIN)/$(LOCK) -c requirements.lock envs/build.in -o envs/build.lock
	$(BIN)/python envs/lock_executors.py
