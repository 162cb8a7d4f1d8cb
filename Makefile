# Everything a user or a contributor types. Needs git, Python >= 3.11 with pip, and make.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Test processes at a time: a fixed number, so that a run here is a run everywhere.
JOBS ?= 2
TARGET ?= process
# Of faults, in a soak and in chaos.
SECONDS ?= 60
ARGS ?=

.PHONY: help run cluster test test-unit interop test-faults simulate soak chaos check docs record
.PHONY: image
.PHONY: bench nightly clean
.PHONY: check-format check-lint check-types check-imports check-style check-docs

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.run  ## Start a broker on 127.0.0.1:9092 with data in ./data (ARGS="--dev --listen HOST:PORT ...")
	@exec $(BIN)/kbroker $(ARGS)

cluster: $(VENV)/.dev  ## Start three brokers and an etcd on 127.0.0.1, data in ./data-cluster (ARGS="--brokers 5 ...")
	@exec $(BIN)/kbroker cluster up $(ARGS)

test: test-unit interop test-faults  ## All tests: install what they need, units, real clients, faults

test-unit: $(VENV)/.dev  ## The tests of tests/
	@tools/install_fuse
	$(BIN)/python -m pytest tests -n $(JOBS)

interop: $(VENV)/.interop  ## Real clients over TCP (TARGET=process, cluster, image, kafka)
	@tools/install_kcat
	$(BIN)/python -m pytest interop_tests -n $(JOBS) --target $(TARGET) $(ARGS)

soak: $(VENV)/.interop  ## Real clients, a killed broker and a failing disk (SECONDS=900, ARGS="--seed 7")
	@tools/install_fuse
	$(BIN)/python -m tests.soak --seconds $(SECONDS) $(ARGS)

chaos: $(VENV)/.interop  ## Three brokers, three etcd members, real clients, every fault (SECONDS=900, ARGS="--seed 7")
	@tools/install_fuse
	@tools/install_network
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) $(ARGS)

test-faults: $(VENV)/.interop  ## A slice of every harness: simulation, crash states, mutants, fuzz, soak, chaos
	@tools/install_fuse
	@tools/install_network
	EXAMPLES=20 tools/test_etcd
	$(BIN)/python -m tools.nightly --slice

simulate: $(VENV)/.dev  ## Whole runs in virtual time (ARGS="--seed 7", "--seeds 0..400 --jobs 2")
	@$(BIN)/python -m simulator $(or $(ARGS),--seeds 0..400 --jobs $(JOBS))

check: check-format check-lint check-types check-imports check-style check-docs  ## Formatting, lint, types, imports, the rules of style, generated documents

check-format: $(VENV)/.dev
	$(BIN)/ruff format --check .

check-lint: $(VENV)/.dev
	$(BIN)/ruff check .

check-types: $(VENV)/.dev
	$(BIN)/mypy

check-imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo

check-style: $(VENV)/.dev
	$(BIN)/python -m pytest tests/style

check-docs: $(VENV)/.dev
	$(BIN)/python -m tools.generate_docs --check

docs: $(VENV)/.dev  ## Regenerate the generated documents
	$(BIN)/python -m tools.generate_docs

record: $(VENV)/.dev  ## Record the golden exchanges anew from Apache Kafka (needs Java 17 and Maven)
	$(BIN)/python -m tools.record $(ARGS)

image:  ## Build the image and print its size (BASE_IMAGE=... for another base)
	@tools/image/build kbroker

bench: $(VENV)/.dev  ## Measure against the floor on this machine, and three replicas beside one
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.replication

nightly: $(VENV)/.interop  ## Everything in large counts; writes the tables of docs/TESTING.md
	@tools/install_fuse
	@tools/install_network
	$(BIN)/python -m tools.nightly $(ARGS)

clean:  ## Remove environments, caches and builds; data stays
	rm -rf $(VENV) .venvs build dist bench/build *.egg-info
	rm -rf .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. A stamp is newer than all it was made from, so a second run installs nothing.

$(VENV)/.made: tools/make_venv
	@tools/make_venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml kbroker/version.py
	@echo "make: installing kbroker into $(VENV)" >&2
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "make: installing the tools of development into $(VENV)" >&2
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.interop: $(VENV)/.dev interop_tests/requirements.txt
	@echo "make: installing the clients into $(VENV)" >&2
	@$(PIP) install --requirement interop_tests/requirements.txt
	@touch $@
