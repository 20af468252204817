# Every target sets up .venv by itself, and again when what is to be installed has changed.
# PYTHON=python3.12 make install: another interpreter for the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test lint clean

help:
	@echo 'make install  the environment in $(VENV)'
	@echo 'make run      extract the entities of the sample documents into out/sample'
	@echo 'make test     all tests that need no vLLM'
	@echo 'make lint     ruff and mypy'
	@echo 'make clean    remove what building, testing and running leave; $(VENV) stays'

install: $(INSTALLED)

# torch comes first and with its exact version, so that a CPU build is taken wherever one is on offer.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(INSTALLED)
	$(BIN)/llmner extract --config configs/jobs/sample.yaml

test: $(INSTALLED)
	$(BIN)/pytest -m 'not vllm'

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy llmner jobs

clean:
	rm -rf build dist out .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
