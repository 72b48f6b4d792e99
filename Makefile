# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` need Python 3.11, a C++ compiler, make and perl; each makes its own environment first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
# Tests that do not run by default; `make test-full` runs everything.
QUICK  := -m "not full"
JOBS   ?= 2
# A crashed worker ends the run: pytest-xdist 3.8 may wait forever for the one that replaces it (its issue 1378).
WORKERS = -n $(JOBS) --dist loadgroup --max-worker-restart 0 --durations 25
COVERAGE = --cov --cov-report term:skip-covered --cov-report html:out/coverage

.PHONY: help demo test test-full mutants lint format docs registers clean

help:
	@echo "make demo       train, compile, simulate, run the virtual board; report in out/demo/report.html"
	@echo "make test       all tests but the slow ones (20 to 30 minutes on 2 cores)"
	@echo "make test-full  all tests, with what they cover in out/coverage, then make mutants"
	@echo "make mutants    change code at random; tests must notice (at most 15 minutes and one run of its tests a package)"
	@echo "make lint       ruff, mypy, Verilator's lint of all RTL"
	@echo "make format     let ruff format the Python files"
	@echo "make docs       the documentation as a site in out/site"
	@echo "make registers  regenerate what comes from hw/registers/icsort.rdl"
	@echo "make clean      remove out/ and the environment"

$(READY): requirements.lock pyproject.toml
	@missing=""; for tool in c++ perl; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	  [ -z "$$missing" ] || { echo "icsort: not found:$$missing. On Debian: apt-get install g++ perl"; exit 2; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "icsort: $(PYTHON) is not Python 3.11 or newer with venv. On Debian: apt-get install python3 python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements.lock pip setuptools torch
	# The lock is complete, so nothing is resolved: finn-plus and torch could not be (see pyproject.toml).
	$(BIN)/pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/icsort demo --out out/demo --force

test: $(READY)
	$(BIN)/python -m pytest $(QUICK) $(WORKERS)

test-full: $(READY)
	ICSORT_TEST_SEED=$${ICSORT_TEST_SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')} \
	  $(BIN)/python -m pytest $(WORKERS) $(COVERAGE)
	$(BIN)/python -m tests.mutants

mutants: $(READY)
	$(BIN)/python -m tests.mutants

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m icsort.sim.verilator.lint_rtl

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "out/site/index.html"

registers: $(READY)
	$(BIN)/python -m icsort.hw.registers.generate

clean:
	rm -rf out build $(VENV)
