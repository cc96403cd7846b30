"""Calls a function in a separate process, so that the process's memory use is that of the function."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["call_apart", "can_measure_memory", "forget_peak", "resident_bytes"]

_ROOT = Path(__file__).resolve().parent.parent
_PEAK_RESET = Path("/proc/self/clear_refs")

Result = TypeVar("Result")


def call_apart(function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a fresh interpreter.

    Args:
        function: A function of an importable module; it must not print anything.
        *arguments: Its arguments. They are pickled: creating them in the new process would leave garbage there.

    Returns:
        The function's return value.

    Raises:
        RuntimeError: The process failed; the message holds its standard error.
    """
    call = pickle.dumps((function.__module__, function.__name__, arguments), protocol=pickle.HIGHEST_PROTOCOL)
    done = subprocess.run([sys.executable, "-m", __name__], input=call, capture_output=True, cwd=_ROOT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{function.__name__} failed in its process:\n{done.stderr.decode(errors='replace')}")
    result: Result = pickle.loads(done.stdout)
    return result


def can_measure_memory() -> bool:
    """Returns True if peak resident memory can be read and reset, as on Linux."""
    return _PEAK_RESET.exists()


def resident_bytes(field: str = "VmRSS") -> int:
    """Returns the resident memory of this process.

    Args:
        field: ``"VmRSS"`` for the current size, ``"VmHWM"`` for the peak since `forget_peak`.

    Returns:
        Bytes.

    Raises:
        OSError: The system has no ``/proc``.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, amount = line.partition(":")
        if name == field:
            return int(amount.split()[0]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def forget_peak() -> None:
    """Resets ``"VmHWM"`` to the current resident memory.

    ``getrusage()`` can't be used: its peak is inherited from the parent process.
    """
    _PEAK_RESET.write_text("5", encoding="ascii")


def _answer_call() -> None:
    module, name, arguments = pickle.load(sys.stdin.buffer)
    result = getattr(importlib.import_module(module), name)(*arguments)
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    _answer_call()
