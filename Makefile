PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help format lint type test slow conformance matrix faults fuzz soak places audit \
	memory latency docs ci

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

format:  ## rewrite the files as ruff formats them
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:  ## check format and rules
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

type:  ## check types
	$(PYTHON) -m mypy

test:  ## run the tests but for the slow ones, on every core
	$(PYTHON) -m pytest -n auto --dist loadscope -m "not slow"

slow:  ## run the slow tests: processes, waits, many cases
	$(PYTHON) -m pytest -n auto --dist loadscope -m slow

conformance:  ## LangChain's standard tests, all of them, beside the stock classes
	CONFORMANCE=all $(PYTHON) -m pytest -n auto --dist loadscope tests/conformance

matrix:  ## call paths on each Python, with lowest and newest packages; writes docs/versions.md
	$(PYTHON) .ci/matrix.py --write docs/versions.md

faults:  ## every fault through every class and way
	FAULTS=all $(PYTHON) -m pytest -n auto --dist loadscope tests/faults

fuzz:  ## random conversations and payloads, FUZZ times as many as in the tests
	FUZZ=$${FUZZ:-12} $(PYTHON) -m pytest -s --timeout 0 tests/fuzz tests/emulator -k "fuzz or meets_judge"

soak:  ## SOAK calls with random faults, each beside the stock class's
	SOAK=$${SOAK:-10000} $(PYTHON) -m pytest -s --timeout 0 tests/faults/test_soak.py

places:  ## forks, loops, blocking calls and crowds, all of them
	PLACES=all CROWD=2 $(PYTHON) -m pytest --timeout 0 tests/places

audit:  ## known vulnerabilities in what is installed; fails if any cannot be looked up
	$(PYTHON) tests/security/audit.py

memory:  ## what 200,000 requests leave in memory
	$(PYTHON) benchmarks/memory.py

latency:  ## a call beside the plain class's, p50 and p99
	$(PYTHON) benchmarks/latency.py

docs:  ## build the site, with the page of the providers as the facts have it
	PYTHONPATH=. $(PYTHON) docs/generate/providers.py --check
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

ci:  ## run all that a change must pass, in environments of its own
	bash .ci/run
