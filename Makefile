# `make demo` and `make test` set up everything themselves; they need Python >= 3.11 and make only.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= fernoise-runs

.PHONY: help demo test test-weekly test-cluster coverage lint types check faults mutants mutation fuzz bench gpu speed gates reference summaries clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/'

$(BIN)/fernoise-bench: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[figures]"
	@touch $@

$(VENV)/.dev: $(BIN)/fernoise-bench
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(BIN)/fernoise-bench  ## set up, run every applicable method on generated faces, print the table
	$(BIN)/fernoise-bench run --protocol bp4d-3fold --fold 1 --all-methods --synthetic --profile smoke --out demo-runs

test: $(VENV)/.dev  ## set up a development environment, run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not weekly"

test-weekly: $(VENV)/.dev  ## the tests that are too slow for every push
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m weekly -p no:xdist -v

test-cluster: $(VENV)/.dev  ## install Slurm (as root, on Debian), Ray and submitit, run the tests of clusters
	tests/cluster-install $(BIN)/python
	$(BIN)/python -m pytest -m cluster -p no:xdist -v

coverage: $(VENV)/.dev  ## share of lines and branches that the tests execute; fails below 92 %
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

lint: $(VENV)/.dev  ## check style and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev  ## run mypy on an ordinary install, since type checkers cannot follow an editable one
	rm -rf build $(VENV)/typecheck
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/typecheck .
	cd $(VENV)/typecheck && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p fernoise_bench

check: $(BIN)/fernoise-bench  ## compare every method with stored reference numbers, 3 minutes; CHECK="--junit FILE" adds options
	$(BIN)/fernoise-bench check --suite smoke $(CHECK)

mutants: $(VENV)/.dev  ## count the deliberate errors in methods that `check` and the conformance tests detect; an hour or more
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/run_mutants.py

mutation: $(VENV)/.dev  ## count the mutations of metrics, statistics, noise and losses that their tests detect; 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/run_mutation.py --fresh

faults: $(VENV)/.dev  ## test that kills, full disks and signals lose no result; 10 minutes
	OMP_NUM_THREADS=1 FERNOISE_KILLS=100 $(BIN)/python -m pytest tests/faults -p no:xdist -q

fuzz: $(VENV)/.dev  ## fuzz the readers with atheris, guided by coverage; FUZZ=30 seconds for each file
	$(BIN)/python -m pip install --quiet atheris
	OMP_NUM_THREADS=1 FERNOISE_FUZZ_SECONDS=$(or $(FUZZ),30) $(BIN)/python -m tests.corpus.fuzz

bench: $(VENV)/.dev  ## measure the training speed as a share of a minimal PyTorch loop's
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/benchmark/bench_*.py --benchmark-enable --benchmark-only -p no:xdist -q -s --benchmark-json bench.json

gpu: $(VENV)/.dev  ## on a machine with a CUDA device: compare it with the CPU, measure speeds, train a slice; GPU="--minutes 8"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cuda -p no:xdist -q
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.cuda.measure $(GPU)

speed: $(VENV)/.dev  ## compare the training speed, as such shares, with the stored one
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/benchmark/bench_tripwire.py --benchmark-enable --benchmark-only -p no:xdist -q \
		-W "ignore:Benchmark machine_info" --benchmark-storage=file://tests/benchmark/speed --benchmark-compare=ratios/0001 \
		--benchmark-compare-fail=min:25% --benchmark-time-unit=s --benchmark-columns=min,median,rounds

gates: $(VENV)/.dev  ## check that methods can learn from the generated faces; 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/protocols/gates_faces.py -q -s

reference: $(BIN)/fernoise-bench  ## bundle the finished trials of RUNS as the reference leaderboard
	$(BIN)/python -c "from pathlib import Path; from fernoise_bench.results.records.reference_leaderboard import bundle_runs, summarise; print(*bundle_runs(Path('$(RUNS)')), *summarise(), sep='\n')"

summaries: $(BIN)/fernoise-bench  ## write the summaries that the bundles of the reference leaderboard lack
	$(BIN)/python -c "from fernoise_bench.results.records.reference_leaderboard import summarise; print(*summarise(), sep='\n')"

clean:  ## remove all that make created; results of runs stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks bench.json .coverage*
