# make demo . make test . make lint . make bench
# The environment is made once and again whenever a pyproject.toml or constraints.txt changes.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOMAINS := $(patsubst %/pyproject.toml,%,$(wildcard domains/*/pyproject.toml))
# What a domain does not need but can use, so that no test of it is skipped.
EXTRAS_astronomy := [sim,spectra,dev]
EXTRAS_code := [languages]
EXTRAS_music := [dev]

.PHONY: help demo test lint format bench env clean

help:
	@echo "make demo    install everything into $(VENV) and fine-tune a model on real sequences"
	@echo "make test    the whole test suite"
	@echo "make lint    formatting, rules, types and the direction of imports"
	@echo "make format  put the formatting right"
	@echo "make bench   speed of the data path and of training"
	@echo "make clean   remove $(VENV) and what was built"
	@echo "PYTHON=python3.12 chooses the Python, VENV=DIR the environment, PYTEST_ARGS=... goes to pytest."

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(wildcard domains/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "scizoo needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`. Try make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -c constraints.txt \
	  -e ".[dev]" $(foreach domain,$(DOMAINS),-e "$(domain)$(EXTRAS_$(notdir $(domain)))")
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/scizoo finetune genomics/taxonomy

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python tools/bench.py

clean:
	rm -rf $(VENV) build dist core/*.egg-info domains/*/build domains/*/*.egg-info
