# The commands of the project. Each does the set-up it needs first, so any of them works on a fresh clone.

PYTHON ?= python3
# Or the path of another build (CPU, CUDA) of the version in constraints.txt.
TORCH ?= torch
# Test processes, one thread each.
WORKERS ?= 2

BIN := .venv/bin
INSTALLED := .venv/.installed
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: install demo test check bench clean distclean

install: $(INSTALLED)

# torch goes first: a build that is there already (CPU or CUDA) is then kept by the second line.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pefuse needs Python 3.11 or newer: name one with 'make PYTHON=python3.12 ...'" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/pefuse demo

test: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_layout.py tests/test_documents.py

bench: $(INSTALLED)
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Also what took long to make: the installed packages, the demo's results and the benchmarks'.
distclean: clean
	rm -rf .venv demo bench
