# The two commands of a new user are `make run` and `make test`; both make their own environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
HELM ?= helm
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= tidewaiter:$(VERSION)
COMPILE = pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make requirements'

.PHONY: run test test-long lint bench bench-audit bench-floor bench-memory bench-gatekeeper bench-gatekeeper-rego docs crds deploy requirements image clean

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

bench-audit bench-floor bench-memory bench-gatekeeper: bench-%: $(STAMP)
	$(BIN)/python -m bench.$*

bench-gatekeeper-rego: $(STAMP)
	$(BIN)/python -m bench.gatekeeper_rego

docs crds: $(STAMP)
	$(BIN)/tidewaiter generate

# Plain manifests from the chart. HELM is Helm 3 or 4: both render the same.
deploy:
	HELM=$(HELM) deploy/render > deploy/tidewaiter.yaml

# Pins every package that the image gets, by hash, for each Python and platform that has wheels.
requirements: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv $(COMPILE) --output-file requirements.txt pyproject.toml
	grep -o 'hatchling[^"]*' pyproject.toml | head -1 | $(BIN)/uv $(COMPILE) --output-file requirements-build.txt -

# BASE is the base image with its digest, which only your registry can tell: docker buildx imagetools inspect python:3.13-slim
image:
	@echo '$(BASE)' | grep -Eq '@sha256:[0-9a-f]{64}$$' || { echo "Name the base by its digest: make image BASE=python:3.13-slim@sha256:…" >&2; exit 2; }
	docker build --build-arg BASE='$(BASE)' --build-arg VERSION=$(VERSION) --tag $(IMAGE) .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
