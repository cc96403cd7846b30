"""Runs targets in Python on all their inputs, without a fuzzer: ``python -m fuzz.run_inputs [TARGET ...]``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fuzz.seeds import write_seeds
from fuzz.targets import FINDINGS, ORACLE_TARGETS, oracle_of, unpack_corpus

__all__ = ["inputs_of", "run_inputs"]


def run_inputs(name: str) -> None:
    """Runs a target's oracle on its first inputs, its stored ones, and those that failed once.

    Args:
        name: The target.

    Raises:
        AssertionError: An input fails; the message has its path.
    """
    check = oracle_of(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in inputs_of(name, Path(folder)):
            try:
                check(path.read_bytes())
            except Exception as error:
                raise AssertionError(f"{path} fails") from error


def inputs_of(name: str, folder: Path) -> Iterator[Path]:
    """Returns the inputs of a target.

    Args:
        name: The target.
        folder: An empty folder for the first and the stored ones.
    """
    unpack_corpus(name, folder)
    write_seeds(name, folder)
    yield from sorted(folder.iterdir())
    yield from sorted((FINDINGS / name).glob("*"))


if __name__ == "__main__":
    for target in sys.argv[1:] or ORACLE_TARGETS:
        run_inputs(target)
