# Two commands for a fresh machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Each file of tests in one process, in the order of tests/conftest.py.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo demo-torch test test-fast check docs bench fidelity windows frozen release-check zipapp vendor clean wine browser shells strace fuzz

demo: $(STAMP)  ## the main job on small Windows binaries, offline once pip is done
	$(BIN)/python -m fixtures.demo

demo-torch: $(STAMP)  ## the main job on the real torch for Windows (downloads about 200 MB once)
	$(BIN)/python -m fixtures.demo --torch

test: $(STAMP) wine browser shells strace  ## every test; installs what they need
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(STAMP)  ## what needs neither Wine nor downloads
	$(BIN)/python -m pytest $(PARALLEL) -m "not lab"

check: $(STAMP)  ## format, lint, types, layers, docs, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) docs
	$(MAKE) test

docs: $(STAMP)  ## the site, English and Chinese, into .site/index.html; any dead link or page without a place is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: $(STAMP)  ## speed against peers in the same run, written to docs/benchmarks.md; ARGS="imports pe" measures parts
	$(BIN)/python -m fixtures.bench $(ARGS)

fidelity: $(STAMP) wine  ## repair rate, ablation and silence on real packages, written to docs/fidelity.md; hours, goes on where it was
	$(BIN)/python -m fixtures.fidelity --markdown docs/fidelity.md $(ARGS)

fuzz: $(STAMP)  ## broken and hostile input for every reader, three minutes; hours with ARGS="--minutes 600"
	$(BIN)/python -m fixtures.fuzz $(ARGS)

windows: $(STAMP) wine  ## the core's tests in the real Windows CPython, under Wine; they are part of `make test`
	$(BIN)/python -m pytest tests/test_windows.py

frozen: $(STAMP) wine  ## depfix frozen by Nuitka for Windows, completed and audited by depfix, in .frozen/; a quarter of an hour at first
	$(BIN)/python -m fixtures.frozen .frozen

release-check: $(STAMP)  ## everything that a release goes through but the upload; ARGS="--dirty" for a tree with changes
	$(BIN)/python -m fixtures.release.check $(ARGS)

zipapp: $(STAMP)  ## depfix as one file in dist/, for this Python; ARGS="--platform win_amd64 --python 3.12" for another
	$(BIN)/python -m fixtures.release.zipapp $(ARGS)

vendor: $(STAMP)  ## the libraries of the HTML report from npm, as depfix/reports/page/vendor/libraries.tsv says
	$(BIN)/python -m fixtures.vendor_page

clean:
	rm -rf $(VENV) .demo .frozen .site .site-pages .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

wine: $(STAMP)
	@$(BIN)/python -m fixtures.windows_lab check >/dev/null 2>&1 || \
		sh fixtures/apt_install.sh "The tests run real Windows programs" wine wine64 xvfb
	@$(BIN)/python -m fixtures.windows_lab check

shells:
	@command -v zsh >/dev/null && command -v fish >/dev/null || \
		sh fixtures/apt_install.sh "The tests complete commands in real shells" zsh fish

strace:
	@test "$$(uname)" != Linux || command -v strace >/dev/null || \
		sh fixtures/apt_install.sh "The tests watch what a scan asks the system for" strace

browser:
	@command -v chromium >/dev/null || \
		sh fixtures/apt_install.sh "The tests open the HTML report in Chromium" chromium fonts-noto-cjk fonts-dejavu-core
	@chromium --version 2>/dev/null

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || (echo "depfix needs Python 3.10 or newer: make PYTHON=..."; exit 1)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)
