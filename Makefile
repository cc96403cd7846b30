# Everything runs in a virtual environment inside the checkout; nothing else needs to be installed by hand
# than Debian's python3-venv, python3-dev, g++ and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CORE   := $(shell find _core -name '*.pyx' -o -name '*.pxd' -o -name '*.hpp')
EXAMPLE = examples/lissajous-regression.wandb

# One environment in two steps: `make run` needs the first, everything else both. The core is compiled in the first
# step, and the second finds it up to date: the tools that build it (pyproject.toml's build-system) stay in the
# environment. pip's isolated builds would install them anew, and Cython translates all that is older than itself.
BUILD_TOOLS := $(shell sed -n '/^requires = /{ s/.*\[//; s/\].*//; s/", "/" "/g; p }' pyproject.toml)
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUNS   := $(VENV)/.installed-run
TESTS  := $(VENV)/.installed-dev
CLUSTERS := $(VENV)/.installed-clusters
DOCS   := $(VENV)/.installed-docs
SITE   := out/site

# Tools of the environment that call each other find each other.
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: run docs test test-clusters test-matrix test-dependencies test-arm64 test-clang test-next-python lint format \
	bench faults fuzz sanitize sanitize-leaks sanitize-threads setup dist wheels clean

setup: $(TESTS)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUNS): pyproject.toml setup.py $(CORE) | $(BIN)/python
	$(PIP) $(BUILD_TOOLS)
	$(PIP) --no-build-isolation --editable '.[plot]'
	touch $@

# After a change of the core alone, the first step has compiled it, and there is nothing new to install.
$(TESTS): pyproject.toml setup.py | $(RUNS)
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@

run: $(RUNS)
	mkdir -p out
	$(BIN)/histscan export $(EXAMPLE) -o out/history.jsonl
	$(BIN)/histscan export $(EXAMPLE) -o out/history.parquet
	$(BIN)/histscan plot $(EXAMPLE) -k loss -k validation.loss --smooth --log-y -o out/loss.png
	$(BIN)/histscan info $(EXAMPLE)

# A module's tests share what they set up, so each module stays in one process. In the order of their names: xdist's own
# order ends with modules of few tests, and those that install and compile, which take longest, are among them.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: lint
	$(BIN)/python -m pytest $(IN_PARALLEL)

# Dask and Ray are large, so that only this target installs them. Without them, `make test` skips these tests, and the
# pages of the documentation that use them.
test-clusters: $(CLUSTERS)
	$(BIN)/python -m pytest tests/clusters tests/docs

$(CLUSTERS): pyproject.toml setup.py | $(TESTS)
	$(PIP) --no-build-isolation --editable '.[clusters]'
	touch $@

# The site of the documentation, which needs no network: open out/site/index.html. Its links and anchors are checked.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir $(SITE)
	HISTSCAN_SITE=$(SITE) $(BIN)/python -m pytest --quiet tests/docs/test_site.py

$(DOCS): pyproject.toml setup.py | $(TESTS)
	$(PIP) --no-build-isolation --editable '.[docs]'
	touch $@

# install() with every release of wandb that it knows, each in a virtual environment of its own.
test-matrix: setup
	HISTSCAN_MATRIX=all $(BIN)/python -m pytest tests/installing/test_install_releases.py

# The lowest and the newest releases of what histscan needs, in virtual environments that pip makes; some minutes.
test-dependencies: setup
	HISTSCAN_DEPENDENCIES=all $(BIN)/python -m pytest tests/packaging/test_dependencies.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint _core
	$(BIN)/clang-format --dry-run --Werror $(filter %.hpp,$(CORE)) fuzz/headers/*
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(filter %.hpp,$(CORE)) fuzz/headers/*

bench: setup
	$(BIN)/python -m benches $(BENCH_ARGS)

# Lets every allocation of the core's operations, and every call on files, fail in turn; `make test` does so for one in
# 23, and one in 17. Some minutes. The tests need no set-up in common, and some take a minute.
faults: setup
	HISTSCAN_FAULTS=all $(BIN)/python -m pytest $(IN_PARALLEL:loadfile=worksteal) tests/faults

# Builds the core with sanitizers into a virtual environment of its own, and runs the core's tests under them.
SANITIZERS ?= address,undefined
SANITIZED  := .venvs/sanitize
CORE_TESTS := $(filter-out %/test_memory.py,$(wildcard tests/core/test_*.py)) \
	$(wildcard tests/columns/test_columns_*.py tests/columns/test_arrow_*.py) tests/columns/test_column_threads.py \
	$(wildcard tests/series/test_*.py tests/runs/test_log_*.py)
sanitize:
	test -x $(SANITIZED)/bin/python || $(PYTHON) -m venv $(SANITIZED)
	HISTSCAN_SANITIZE=$(SANITIZERS) $(SANITIZED)/bin/python -m pip install --quiet '.[test]'
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	$(SANITIZED)/bin/python -m pytest $(CORE_TESTS)

# The core with another sanitizer, for the environment of the tests.
define build_sanitized
HISTSCAN_SANITIZE=$(1) $(BIN)/python setup.py --quiet build_py --build-lib $(2) build_ext --build-lib $(2) \
	--build-temp build/$(1)
endef

# Does every operation of the core under LeakSanitizer. tests/faults/leaks.supp lists what is not the core's.
sanitize-leaks: setup
	$(call build_sanitized,address,.venvs/leaks)
	$(BIN)/python -m tests.faults.run_sanitized leaks .venvs/leaks -- -m tests.faults.check_leaks

# Runs the tests of threads under ThreadSanitizer, which does not support threads that are started after a fork of a
# process with several.
THREAD_TESTS := tests/faults/test_failing_threads.py tests/core/test_buffer_pool.py tests/core/test_arrow_stream.py \
	tests/columns/test_column_threads.py tests/columns/test_worker_threads.py tests/columns/test_async_rows.py \
	tests/paging/test_prefetch.py
sanitize-threads: setup
	$(call build_sanitized,thread,.venvs/threads)
	$(BIN)/python -m tests.faults.run_sanitized threads .venvs/threads -- -m pytest $(THREAD_TESTS) \
		--deselect tests/columns/test_column_threads.py::test_a_forked_process_starts_threads_of_its_own

# The core's tests on ARM64, by qemu, with Debian's packages below .venvs; Debian needs debootstrap, qemu-user-static
# and g++-aarch64-linux-gnu, and root. Emulated, hypothesis has time for fewer examples.
# The other ones compile for this machine, or need AVX2.
EMULATED_TESTS := $(filter-out %/test_headers.py %/test_processors.py,$(CORE_TESTS)) $(wildcard tests/columns/test_json_*.py) \
	tests/columns/test_parquet_columns.py tests/columns/test_column_order.py tests/columns/test_column_passes.py
test-arm64: setup
	HISTSCAN_EXAMPLES=10 $(BIN)/python -m tests.machines.debian_python arm64 \
		$$(. /etc/os-release && echo $$VERSION_CODENAME) $(IN_PARALLEL) $(EMULATED_TESTS)

# The core's tests on the newest release of Python that Debian has.
test-next-python: setup
	$(BIN)/python -m tests.machines.debian_python amd64 sid $(IN_PARALLEL) $(EMULATED_TESTS)

# The core's tests with the core that clang and libc++ make, as on macOS.
CLANG := .venvs/clang
test-clang: setup
	rm -rf $(CLANG)
	CC=clang CXX=clang++ CXXFLAGS=-stdlib=libc++ LDFLAGS=-stdlib=libc++ $(BIN)/python setup.py --quiet \
		build_py --build-lib $(CLANG) build_ext --build-lib $(CLANG) --build-temp build/clang
	PYTHONPATH=$(CLANG) $(BIN)/python -m pytest $(CORE_TESTS)

# Builds the core for fuzzing into a virtual environment of its own, and runs each target (or those in TARGETS) for so
# many seconds, two at a time. Needs clang with its runtime: Debian's clang has both.
SECONDS ?= 60
FUZZED  := .venvs/fuzz
fuzz: $(FUZZED)/.installed
	$(FUZZED)/bin/python -m fuzz run --seconds $(SECONDS) $(TARGETS)

$(FUZZED)/.installed: pyproject.toml setup.py $(CORE) $(shell find src -name '*.py')
	test -x $(FUZZED)/bin/python || $(PYTHON) -m venv $(FUZZED)
	CC=clang CXX=clang++ HISTSCAN_SANITIZE=fuzzer-no-link,address,undefined \
	$(FUZZED)/bin/python -m pip install --quiet --disable-pip-version-check '.[fuzz]'
	touch $@

dist: setup
	$(BIN)/python -m build

# An sdist, and wheels for each Python of this machine, each checked in a virtual environment of its own.
wheels: setup
	$(BIN)/python -m tests.machines.build_wheels dist

clean:
	rm -rf build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info src/*.egg-info
	find _core -name '*.so' -delete
