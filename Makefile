# The two commands of a new user are `make run` and `make test`; both make their own environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: run test test-long lint bench docs crds clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tidewaiter needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(STAMP)
	@$(BIN)/tidewaiter demo $(if $(ONCE),--once)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP) lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not long"

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --timeout 7200

bench: $(STAMP)
	$(BIN)/python -m bench

docs crds: $(STAMP)
	$(BIN)/tidewaiter generate

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
