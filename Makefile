# Everything a contributor runs. `make` alone lists the targets; each one sets the environment up first.
VENV   := .venv
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.ready
BENCH  := .venv-bench

# an announcement, printed at every build
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup format check test test-fast demo bench bench-quick docs comparison changelog build release oldest \
        next clean distclean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

setup: $(STAMP)  ## create .venv with ffnn and all that its development needs

$(STAMP): pyproject.toml hatch_build.py scripts/setup.sh $(wildcard ffnn/kernels/*.[ch] ffnn_plugins/builders/_native/*.[ch])
	scripts/setup.sh $(VENV)
	@touch $@

format: $(STAMP)  ## format the code and fix what can be fixed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

check: $(STAMP)  ## lint, formatting, types, documentation
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	scripts/types.sh $(VENV)
	$(PYTHON) scripts/compare.py --check
	$(PYTHON) scripts/layout.py --check
	$(VENV)/bin/mkdocs build --strict --quiet

test: $(STAMP)  ## all tests; ARGS="-k name" passes arguments on to pytest
	scripts/system-packages.sh
	$(VENV)/bin/pytest -n 3 --dist worksteal --durations 15 $(ARGS)

test-fast: $(STAMP)  ## the tests that are not marked slow
	$(VENV)/bin/pytest -n 3 --dist worksteal -m "not slow" $(ARGS)

demo: $(STAMP)  ## a search beside scikit-learn's, with a killed worker, interrupted and resumed
	$(PYTHON) examples/digits.py

$(BENCH)/.ready: $(STAMP) scripts/setup-bench.sh benchmarks/requirements-peers.txt
	scripts/setup-bench.sh $(VENV) $(BENCH)
	@touch $@

bench: $(BENCH)/.ready  ## ffnn beside its peers, about two hours; ARGS="--resume" goes on after an interruption
	$(BENCH)/bin/python -m benchmarks.suite $(ARGS)
	$(PYTHON) -m benchmarks.suite --render

bench-quick: $(BENCH)/.ready  ## the same, smaller, in under ten minutes
	$(BENCH)/bin/python -m benchmarks.suite --quick $(ARGS)
	$(PYTHON) -m benchmarks.suite --render

docs: $(STAMP)  ## serve the documentation on this machine, rebuilt at each change
	$(VENV)/bin/mkdocs serve

comparison: $(STAMP)  ## make docs/comparison.md from scripts/comparison.toml
	$(PYTHON) scripts/compare.py

changelog: $(STAMP)  ## show the changelog that the fragments make
	$(VENV)/bin/towncrier build --draft

build: $(STAMP)  ## the wheel and the source distribution, in dist/
	$(VENV)/bin/uv build --python $(PYTHON)

release: $(STAMP)  ## what is uploaded, in dist/, built, checked and tried; ARGS="--quick" for this machine alone
	$(PYTHON) -m scripts.release $(ARGS)

oldest: $(STAMP)  ## the tests that are not marked slow, with the oldest versions that are allowed
	$(PYTHON) -m scripts.versions oldest $(ARGS)

next: $(STAMP)  ## the same with the newest versions, pre-releases included
	$(PYTHON) -m scripts.versions next $(ARGS)

clean:  ## remove what building and testing left
	rm -rf build dist site output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ffnn ffnn_plugins tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## clean, and remove the environments
	rm -rf $(VENV) $(BENCH) .venv-oldest .venv-next
