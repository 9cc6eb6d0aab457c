PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help format lint type test ci

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

ci:  ## run all that a change must pass, in environments of its own
	bash .ci/run
