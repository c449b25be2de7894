# Verbs. `make demo` and `make test` set everything up themselves: they need Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= fernoise-runs

.PHONY: help demo test lint types bench gates clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/'

$(BIN)/fernoise-bench: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[figures]"
	@touch $@

$(VENV)/.dev: $(BIN)/fernoise-bench
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(BIN)/fernoise-bench  ## set up, run every method on generated faces, print the table
	$(BIN)/fernoise-bench run --protocol bp4d-3fold --fold 1 --all-methods --synthetic --profile smoke --out $(RUNS)

test: $(VENV)/.dev  ## set up, run the tests
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev  ## style, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev  ## mypy against an ordinary install, since type checkers cannot follow an editable one
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/typecheck .
	cd $(VENV)/typecheck && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p fernoise_bench

bench: $(VENV)/.dev  ## speed of the harness as a share of a bare loop, measured in one run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/benchmark/bench_*.py --benchmark-enable --benchmark-only -p no:xdist -q -s --benchmark-json bench.json

gates: $(VENV)/.dev  ## are the generated faces worth training on: 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/protocols/gates_faces.py -q -s

clean:  ## remove what make made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
