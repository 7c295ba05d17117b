# Every target makes .venv when it is missing; a second call installs nothing.
PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-real browser lint bench docs clean

help:
	@echo "make demo       edit a fact in a small model and see whether it held"
	@echo "make test       the tests that need no weights"
	@echo "make test-real  the tests with a built-in model (fetched once)"
	@echo "make browser    a Chromium for the tests of obverse serve; they are skipped without one"
	@echo "make lint       ruff, codespell, pyright, import-linter"
	@echo "make bench      time the steps; see benchmarks/"
	@echo "make docs       build the documentation into site/"
	@echo "make clean      remove .venv and caches"

# torch goes first and at the pinned version. pip takes its small CPU build where its settings offer one
# (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS); left alone, Linux gets the several-GB CUDA build.
.venv/.torch: constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade pip
	$(INSTALL) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	@touch $@

.venv/.obverse: .venv/.torch pyproject.toml
	$(INSTALL) -e '.[plot]'
	@touch $@

.venv/.%: .venv/.obverse
	$(INSTALL) --group $*
	@touch $@

demo: .venv/.obverse
	$(BIN)/obverse demo

# One thread each: the workers share the cores already.
test: .venv/.obverse .venv/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-real: .venv/.obverse .venv/.test
	$(BIN)/python -m pytest -m real_model --force-enable-socket

# Without the right to install, or without apt, the tests of the page say that they are skipped.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
	|| { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; } \
	|| echo "No Chromium can be installed here: tests of obverse serve will be skipped."

lint: .venv/.obverse .venv/.test .venv/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: .venv/.obverse
	$(BIN)/python -m benchmarks.edit
	$(BIN)/python -m benchmarks.trace
	$(BIN)/python -m benchmarks.bench
	$(BIN)/python -m benchmarks.reversal
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.workbench

docs: .venv/.obverse .venv/.docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache site dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
