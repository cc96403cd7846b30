# Everything runs in a virtual environment inside the checkout; nothing else needs to be installed by hand
# than Debian's python3-venv, python3-dev, g++ and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXAMPLE = examples/lissajous-regression.wandb

.PHONY: run test lint bench sanitize setup dist clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py $(wildcard _core/*.pyx _core/*.pxd _core/*.hpp)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
