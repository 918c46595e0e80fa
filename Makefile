# All commands for contributors and for CI. `make` without a target lists the targets.

PYTHON ?= python3
VENV   := $(CURDIR)/.venv
MARKER := .venv/.installed

# Pipeline stages run `python -m stages.<name>`, so the environment's python must come first in PATH.
export PATH := $(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help install repro try train h200 plots experiments test lint check format bench mutants clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(MARKER)  ## create .venv and install the pinned environment

# The marker is written last, so an interrupted install is repeated next time.
$(MARKER): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	  || { echo "error: '$(PYTHON)' is missing or not Python 3.11 to 3.13; try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv with the pinned environment: a minute or two ..." >&2
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	.venv/bin/python -m m1.pages.dvc_plots .dvc/plots_page.html
	.venv/bin/dvc config --local plots.html_template plots_page.html
	@touch $@

repro: $(MARKER)  ## run the pipeline: only the stages whose inputs changed
	.venv/bin/dvc repro
	@echo "Open the report in a browser: data/report/m1_report.html"

# Each experiment gets a new name, so that earlier experiments stay. $(EXP) is computed only once,
# because it must not change while the recipe runs.
EXP := $(or $(EXP),try-$(shell date +%m%d-%H%M%S))
TRY := $(shell sed -n "s/^[a-z].*/-S '&'/p" try.txt)

# It runs in a copy of the files in git, so the results in the workspace stay as they are.
try: $(MARKER)  ## run the pipeline in a minute or two, too small for verdicts (ARGS="-S ..." EXP=name)
	@echo "Experiment $(EXP), too small for verdicts: sizes of try.txt, apart from the workspace."
	@.venv/bin/dvc exp run --temp --name $(EXP) $(TRY) $(ARGS) || { \
	  echo "It runs in a copy of what git has: name files of yours by their full paths." >&2; exit 1; }
	@.venv/bin/python -m m1 show --rev $(EXP)
	@echo
	@echo "Too small for verdicts. To look further (programs are in .venv/bin):"
	@echo "  m1 answers --rev $(EXP)        # what the model wrote, the worst first (--html page.html)"
	@echo "  dvc exp show                   # beside other experiments"
	@echo "  dvc plots diff HEAD $(EXP)     # charts beside those of the last commit"
	@echo "  dvc exp remove $(EXP)          # delete it"

train: $(MARKER)  ## train the embedded SceneVLM again (hours on a CPU; never needed for repro)
	cd data/models/scene-vlm && dvc repro

h200: $(MARKER)  ## compute the results of the H200 runs again from their data (no GPU needed)
	.venv/bin/python data/runs/h200/analyse.py

plots: $(MARKER)  ## render the plots to dvc_plots/index.html (REV=HEAD compares with a revision)
	.venv/bin/dvc plots $(if $(REV),diff $(REV),show) --out dvc_plots
	@echo "Open dvc_plots/index.html in a browser. Compare with the last commit: make plots REV=HEAD"

# Only a few results are shown, so that the changed parameters fit beside them into 80 columns.
# `dvc queue status` shows the states of experiments. Sizes that `make try` sets are left out, too:
# `dvc exp show --only-changed` shows them.
SIZES := $(shell sed -n '/^knobs/d; s/^\([a-z][^=]*\)=.*/\1/p' try.txt | tr '\n' '|')
experiments: $(MARKER)  ## table of experiments: changed parameters and results
	@.venv/bin/dvc exp show --only-changed --keep 'valid\b|(qa|captioning)_ms' --drop '$(SIZES).*/|.*yaml|Created|State|Executor|(qa|captioning)\.|fail|find|run'

# One process per core, at most 8, each with one thread. A single test file needs none of this.
PYTEST := OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto --maxprocesses 8 --dist worksteal

test: $(MARKER)  ## run the tests
	$(PYTEST)

lint: $(MARKER)  ## lint, formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

check: lint test  ## lint, formatting, types and tests: what a change must pass

format: $(MARKER)  ## fix formatting and what the linter can fix alone
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: $(MARKER)  ## measure what the program itself costs: docs/bench.md (ARGS=--quick for a trial)
	.venv/bin/python -m benchmarks $(ARGS)

mutants: $(MARKER)  ## change a module in small ways, see if tests fail: ARGS="m1/analysis/latency/jitter.py --n 20"
	.venv/bin/python -m benchmarks.mutants $(ARGS)

clean:  ## remove caches and rendered plots (results and .venv stay)
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis dvc_plots
	find m1 stages benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
