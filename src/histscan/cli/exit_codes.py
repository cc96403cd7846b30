"""The exit codes of commands, and what becomes one: errors, signals and warnings, each told in one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from histscan.cli.messages import say, warn
from histscan.errors import HistoryError

__all__ = [
    "BROKEN_PIPE",
    "FAILED",
    "INTERRUPTED",
    "MISUSED",
    "SUCCEEDED",
    "StoppedBySignal",
    "UsageError",
    "run_guarded",
]

SUCCEEDED = 0
FAILED = 1
MISUSED = 2
# As a shell reports a process that a signal ended.
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE


class UsageError(Exception):
    """The command line asks for something that makes no sense; says what to write instead."""


class StoppedBySignal(BaseException):
    """A signal asks the process to end. No ``Exception``, as KeyboardInterrupt is none: what is open is cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Prints the warnings of the library as one line each, without the place in the source that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_arguments, **_options: warn(str(message))
        yield


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Turns the signals that end a process into an exception, so that no half file is left behind."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise StoppedBySignal(number)

    previous: dict[signal.Signals, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                # A signal that is ignored, as under nohup, stays ignored.
                if signal.getsignal(number) is signal.SIG_DFL:
                    previous[number] = signal.signal(number, stop)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_guarded(command: Callable[[], int], *, debug: bool = False) -> int:
    """Runs a command, and makes an exit code of whatever happens.

    Args:
        command: What to run; returns its exit code.
        debug: Print the traceback of an error before the line that explains it.

    Returns:
        The exit code: 0 on success, 1 if something went wrong, 2 for a command line that makes no sense, 130 after
        Ctrl-C and 128 + n after signal n.
    """
    try:
        with _signals_as_exceptions(), _warnings_as_lines():
            code = command()
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` does: no error.
        _give_up_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        say("error", "interrupted")
        return INTERRUPTED
    except StoppedBySignal as stop:
        say("error", f"stopped by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except Exception as error:
        if debug:
            traceback.print_exc()
        say("error", _explain(error))
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_stdout()
        return MISUSED if isinstance(error, UsageError) else FAILED


def _explain(error: Exception) -> str:
    """Tells a person what an error means."""
    if isinstance(error, HistoryError | UsageError):
        # The library speaks of its arguments; here they are options.
        return str(error).replace("on_corrupt='skip'", "--skip-corrupt")
    if isinstance(error, OSError):
        if error.strerror is None:
            return str(error)
        return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {error} (this should not happen; --debug shows where it did)"


def _give_up_stdout() -> None:
    """Points standard output at nothing, so that Python does not fail to write what is left in it when it exits."""
    with suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, output)
        os.close(nothing)
