# Everything a newcomer needs: `make demo` and `make test`. Both set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup demo test lint mlflow clean

help:
	@echo "make demo    set up, make a synthetic world, train a small GazeLLE, compare it with baselines (CPU, minutes)"
	@echo "make test    set up, check style and types, run all tests"
	@echo "make mlflow  open the pages of all runs on http://127.0.0.1:5000"
	@echo "make lint    style and types only"
	@echo "make setup   only the virtual environment in $(VENV)"

setup: $(READY)

# uv installs in half a minute what pip installs in three; both read the same pins.
$(READY): requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	if command -v uv >/dev/null; then uv pip install --python $(BIN)/python -r requirements.txt -e .; \
	else $(BIN)/python -m pip install --progress-bar off -r requirements.txt -e .; fi
	touch $@

demo: $(READY)
	$(BIN)/python tools/demo.py

test: lint
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mlflow: $(READY)
	@echo "All runs: http://127.0.0.1:5000/#/experiments?workflowType=machine_learning   (Ctrl-C ends the server)"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --backend-store-uri sqlite:///$(CURDIR)/outputs/mlflow.db \
		--artifacts-destination $(CURDIR)/outputs/mlartifacts --host 127.0.0.1 --port 5000 --workers 1

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
