"""How a command ends when something is wrong: an exit code, and one line for people instead of a traceback."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from histscan.errors import HistoryError

__all__ = [
    "BROKEN_PIPE",
    "FAILED",
    "INTERRUPTED",
    "MISUSED",
    "SUCCEEDED",
    "UsageError",
    "printable",
    "run_guarded",
    "warn",
]

SUCCEEDED = 0
FAILED = 1
MISUSED = 2
# As a shell reports a process that a signal ended.
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE

# Control characters, breaks of lines and paragraphs, lone surrogates, and marks that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class UsageError(Exception):
    """The command line asks for something that makes no sense; says what to write instead."""


class StoppedBySignal(BaseException):
    """A signal asks the process to end. No ``Exception``, as KeyboardInterrupt is none: what is open is cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def printable(text: str) -> str:
    r"""Makes one line of a text, which a terminal shows and does not obey: a line break becomes ``\n``.

    Args:
        text: What a log or a path holds, which may be anything.

    Returns:
        The text with control characters, line breaks, lone surrogates and such escaped.
    """
    return _UNPRINTABLE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def warn(message: str) -> None:
    """Prints a warning as one line to standard error.

    Args:
        message: What to know, without a prefix.
    """
    _say("warning", message)


def _say(kind: str, message: str) -> None:
    """Prints one line about the command to standard error, over a progress bar that may stand there."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    with suppress(OSError):
        print(f"{start}histscan: {kind}: {printable(message)}", file=sys.stderr, flush=True)


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
        _say("error", "interrupted")
        return INTERRUPTED
    except StoppedBySignal as stop:
        _say("error", f"stopped by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say("error", _explain(error))
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
