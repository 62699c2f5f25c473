# Each target makes what it needs: the virtual environment, the packages in it, Node, libfaketime, mosquitto, HAProxy, Redis or Valkey and Chromium for the
# tests that want them, in CI also the programs that read what is in deploy/.
#   make test PYTHON=python3.12          another Python
#   make demo ARGS="--duration-s 15"     more arguments
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

.PHONY: help demo test test-all soak check fmt bench bench-cloud bench-cpu bench-edge bench-link bench-outbox bench-store bench-wire documents run-venv dev-venv node faketime mosquitto fleet image chromium deploy-programs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       stations, edge, cloud and CSMS in one process, with a live table of bytes"
	@echo "make test       all checks and tests, of the tree and of the built wheel"
	@echo "make test-all   the same with each Python from 3.11 to 3.13 that is found"
	@echo "make soak       the tests that take minutes"
	@echo "make check      style and types        make fmt        format the code"
	@echo "make bench      bytes of recordings, workloads and months, measured again for the tables and pictures in README.md"
	@echo "make bench-cpu    processor time and memory of the codecs beside zlib, for the table in codecs/README.md"
	@echo "make bench-link   what the link costs in two network namespaces (as root), for the table in gateway/README.md"
	@echo "make bench-wire   a day of each workload in two network namespaces beside the model (as root), for the table in README.md"
	@echo "make bench-outbox  what the outbox writes to the disk, for the table in gateway/README.md"
	@echo "make bench-store  what the server that clouds share takes, for the tables in deploy/SIZING.md"
	@echo "make bench-edge   memory, start, processor time and disk writes of an edge, for the table in gateway/README.md"
	@echo "make bench-cloud  processor time, memory and latency of a cloud beside a relay with permessage-deflate, for the table in gateway/README.md"
	@echo "make documents  rewrite what is generated: tables in the READMEs, files in deploy/"

demo: run-venv
	@$(VENV)/bin/ocppress demo $(ARGS)

# The whole suite comes last, so that the last line is its count.
test: check node faketime mosquitto fleet chromium deploy-programs
	.ci/wheel $(VENV)
	.ci/suite $(VENV) $(ARGS)

test-all:
	.ci/test-all

soak: dev-venv node mosquitto fleet image
	$(VENV)/bin/python -m pytest -ra -m soak $(ARGS)

check: dev-venv
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

fmt: dev-venv
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

bench: dev-venv
	$(VENV)/bin/python -m bench.measure
	$(VENV)/bin/python -m bench.plan
	$(VENV)/bin/python -m bench.month --workload all --plan all --write
	$(VENV)/bin/python -m bench.report
	$(VENV)/bin/python -m scripts.documents

bench-cpu: run-venv
	$(VENV)/bin/python -m bench.cpu $(ARGS)
	$(VENV)/bin/python -m scripts.documents

bench-link: run-venv
	$(VENV)/bin/python -m bench.link $(ARGS)
	$(VENV)/bin/python -m scripts.documents

bench-wire: run-venv
	$(VENV)/bin/python -m bench.wire --write $(ARGS)
	$(VENV)/bin/python -m scripts.documents

bench-outbox: run-venv
	$(VENV)/bin/python -m bench.outbox $(ARGS)
	$(VENV)/bin/python -m scripts.documents

bench-store: dev-venv fleet
	$(VENV)/bin/python -m bench.store $(ARGS)
	$(VENV)/bin/python -m scripts.documents

bench-edge: run-venv
	$(VENV)/bin/python -m bench.edge $(ARGS)
	$(VENV)/bin/python -m scripts.documents

# It says what is over its limits; that is no reason not to write it down.
bench-cloud: run-venv
	-$(VENV)/bin/python -m bench.cloud $(ARGS)
	$(VENV)/bin/python -m scripts.documents

documents: dev-venv
	$(VENV)/bin/python -m scripts.documents

run-venv:
	@.ci/venv $(PYTHON) $(VENV)

dev-venv:
	@.ci/venv $(PYTHON) $(VENV) dev

node:
	@.ci/node

faketime:
	@.ci/faketime

mosquitto:
	@.ci/mosquitto

fleet:
	@.ci/fleet

image:
	@.ci/image

deploy-programs:
	@.ci/deploy

chromium:
	@.ci/chromium

clean:
	rm -rf .venv .venv-* dist .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/integration/node/node_modules
