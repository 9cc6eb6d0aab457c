PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help format lint type test conformance fuzz soak docs ci

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

test:  ## run the tests, on every core
	$(PYTHON) -m pytest -n auto --dist loadscope

conformance:  ## LangChain's standard tests, all of them, beside the stock classes
	CONFORMANCE=all $(PYTHON) -m pytest -n auto --dist loadscope tests/conformance

fuzz:  ## random conversations and payloads, FUZZ times as many as in the tests
	FUZZ=$${FUZZ:-12} $(PYTHON) -m pytest -s --timeout 0 tests/fuzz tests/emulator -k "fuzz or meets_judge"

soak:  ## SOAK calls with random faults, each beside the stock class's
	SOAK=$${SOAK:-10000} $(PYTHON) -m pytest -s --timeout 0 tests/faults/test_soak.py

docs:  ## build the site, with the page of the providers as the facts have it
	PYTHONPATH=. $(PYTHON) docs/generate/providers.py --check
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

ci:  ## run all that a change must pass, in environments of its own
	bash .ci/run
