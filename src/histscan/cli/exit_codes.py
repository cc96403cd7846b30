"""Exit codes of commands; reports errors, signals and warnings as one line each."""

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
from histscan.errors import HistoryError, UnknownKeyError

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
# The codes that a shell reports for a process killed by a signal.
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE


class UsageError(Exception):
    """The command line is invalid. The message says what to write instead."""


class StoppedBySignal(BaseException):
    """A signal asked the process to end.

    A ``BaseException`` like KeyboardInterrupt: ``except Exception`` does not catch it, ``finally`` blocks still run.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Prints each Python warning as one line, without its source location."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_arguments, **_options: warn(str(message))
        yield


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into an exception, so that no partial file is left behind."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise StoppedBySignal(number)

    previous: dict[signal.Signals, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                # A signal that was ignored at the start (by nohup, for example) stays ignored.
                if signal.getsignal(number) is signal.SIG_DFL:
                    previous[number] = signal.signal(number, stop)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_guarded(command: Callable[[], int], *, debug: bool = False) -> int:
    """Runs a command, and turns every outcome into an exit code.

    Args:
        command: The function to run; it returns an exit code.
        debug: Print the traceback of an error before its message.

    Returns:
        The exit code: 0 on success, 1 on an error, 2 if the command line is invalid, 130 after Ctrl-C and 128 + n
        after signal n.
    """
    try:
        with _signals_as_exceptions(), _warnings_as_lines():
            code = command()
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # The reader of our output closed it early, as `head` does: this is no error.
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
        return MISUSED if isinstance(error, UsageError | UnknownKeyError) else FAILED


def _explain(error: Exception) -> str:
    """Returns the message of an error for users of the command."""
    if isinstance(error, HistoryError | UsageError):
        # The library's messages name its arguments; here they are options.
        return str(error).replace("on_corrupt='skip'", "--skip-corrupt")
    if isinstance(error, OSError):
        if error.strerror is None:
            return str(error)
        return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {error} (this is a bug in histscan; --debug shows the traceback)"


def _give_up_stdout() -> None:
    """Redirects standard output to os.devnull, so that Python does not fail to flush its buffer at exit."""
    with suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, output)
        os.close(nothing)
