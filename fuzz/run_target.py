"""Runs one target in Python under atheris: ``python -m fuzz.run_target PROGRAM [libFuzzer's options]``.

The program is the script that starts this (`fuzz.builds` writes it). It has the target's name, and libFuzzer starts it
again where it needs another process.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from pathlib import Path

import atheris

from fuzz.targets import ORACLE_TARGETS, oracle_of

_UNREPAIRED = 8
"""Of so many mutated inputs, one keeps what a mutation broke."""


class _Run:
    """What one process executes.

    Attributes:
        executed_bytes: The bytes of all inputs so far.
    """

    def __init__(self, name: str) -> None:
        self._check = oracle_of(name)
        target = ORACLE_TARGETS[name]
        self._repair = importlib.import_module(f"fuzz.oracles.{target.module}").repair if target.repair else None
        self.executed_bytes = 0

    def execute(self, data: bytes) -> None:
        """Runs the oracle on an input."""
        self.executed_bytes += len(data)
        try:
            self._check(data)
        except BaseException:
            # The process ends without a report.
            self.report()
            raise

    def report(self) -> None:
        """Prints what `fuzz.campaign` reads."""
        sys.stderr.write(f"fuzz: executed {self.executed_bytes} bytes\n")
        sys.stderr.flush()

    def mutate(self, data: bytes, longest: int, seed: int) -> bytes:
        """Changes an input, and makes its checksums right again."""
        mutated: bytes = atheris.Mutate(data, longest)
        if self._repair is None or seed % _UNREPAIRED == 0:
            return mutated
        repaired: bytes = self._repair(mutated)[:longest]
        return repaired


def main() -> None:
    """Runs the target that the arguments name."""
    program, *options = sys.argv[1:]
    name = Path(program).name
    run = _Run(name)
    target = ORACLE_TARGETS[name]
    arguments = [program, f"-max_len={target.longest}", *options]
    if target.repair:
        atheris.Setup(arguments, run.execute, custom_mutator=run.mutate, enable_python_coverage=False)
    else:
        atheris.Setup(arguments, run.execute, enable_python_coverage=False)
    # libFuzzer ends the process by C's `exit`, of which Python's atexit knows nothing.
    report = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: run.report())
    ctypes.CDLL(None)["__cxa_atexit"](report, None, None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
