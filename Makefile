# Every target makes .venv if it is missing. PYTHON may be any Python >= 3.11.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed

export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: install demo test test-oldest lint format bench clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED)  ## make .venv with nascli and all that its development needs

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nascli needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## search, derive, train, evaluate and draw into demo/; on built-in digits, or PICTURES=FOLDER
	env -u OMP_NUM_THREADS PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/pipeline.sh demo "$(PICTURES)"

test: $(INSTALLED)  ## run the test suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

test-oldest:  ## run the test suite with the lowest versions that pyproject.toml allows, in .venv-oldest; not in CI
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	test -x .venv-oldest/bin/uv || .venv-oldest/bin/python -m pip install --quiet uv
	.venv-oldest/bin/uv pip install --quiet --resolution lowest-direct --python .venv-oldest/bin/python -e '.[dev]'
	.venv-oldest/bin/python -m pytest -W default -n $(WORKERS) --dist worksteal $(PYTEST)

lint: $(INSTALLED)  ## check style, import order and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)  ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)  ## count operators; measure the search network, data loading and start-up
	$(BIN)/python benchmarks/operators.py
	env -u OMP_NUM_THREADS GOMP_SPINCOUNT=10000 $(BIN)/python benchmarks/search_step.py
	env -u OMP_NUM_THREADS GOMP_SPINCOUNT=10000 $(BIN)/python benchmarks/epoch_share.py
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/start_up.py

clean:  ## remove .venv, caches, builds and demo/
	rm -rf .venv .venv-oldest .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist demo *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
