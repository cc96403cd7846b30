"""``histscan run``: runs an unchanged script that uses wandb, with histscan's iterators in place of wandb's.

The script sees the same ``sys.argv``, ``sys.path``, ``__main__``, exit code and tracebacks as under Python. So nothing
that changes warnings, signals or output may wrap it: `run_guarded` is not used.
"""

from __future__ import annotations

import argparse
import builtins
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple

from histscan.cli.exit_codes import FAILED, MISUSED, SUCCEEDED, UsageError
from histscan.common.printable import printable
from histscan.errors import HistoryError
from histscan.sources.source_option import SOURCES, SourceOption

__all__ = ["declare", "run", "run_command"]

USAGE = """\
usage: histscan run [--source SOURCE] SCRIPT [ARGUMENT ...]
       histscan run [--source SOURCE] -m MODULE [ARGUMENT ...]

Run an unchanged script that uses wandb, with histscan reading the history of its
runs, as if `import histscan; histscan.install()` were its first line. SCRIPT may
be anything that Python runs: a file, or a folder or zip file with a __main__.py.

options:
  --source {pages,parquet,auto}
                 where rows come from: pages, as wandb requests them (default);
                 parquet, the server's exported Parquet files, and pages for the
                 rest; auto, exported files if there are any, else pages

examples:
  histscan run plot_losses.py --project vision
  histscan run --source parquet plot_losses.py
  histscan run -m analysis.report

Subprocesses that the script starts use wandb's own iterators, unless they are
forked.
"""


class _Target(NamedTuple):
    """The script or module to run.

    Attributes:
        name: The path of a script, or the name of a module.
        is_module: True for a module.
        arguments: The arguments of the script or module.
        source: Where rows come from: the `source` of install().
    """

    name: str
    is_module: bool
    arguments: Sequence[str]
    source: SourceOption


def declare(parser: argparse.ArgumentParser) -> None:
    """Accepts any arguments: `run_command` parses the command line behind ``run`` itself.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("script", nargs=argparse.REMAINDER)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - as all commands have it
    """Rejects options before ``run``; a command line that starts with ``run`` goes to `run_command`.

    Args:
        arguments: The parsed command line.

    Raises:
        UsageError: Always.
    """
    raise UsageError("nothing may come before `run`: histscan run SCRIPT (see `histscan run --help`)")


def run_command(arguments: Sequence[str]) -> int:
    """Runs a script with histscan installed.

    Args:
        arguments: What follows ``run`` on the command line.

    Returns:
        The exit code: 0 if the script ran to its end, 1 or 2 if it could not be started. The exceptions of the script
        pass unchanged, ``SystemExit`` among them.
    """
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return SUCCEEDED
    try:
        target = _read_target(arguments)
        program = _prepare(target)
    except (UsageError, HistoryError) as error:
        print(f"histscan: error: {printable(str(error))}", file=sys.stderr)
        return MISUSED if isinstance(error, UsageError) else FAILED
    _run_with_own_tracebacks(program)
    return SUCCEEDED


def _read_target(arguments: Sequence[str]) -> _Target:
    see = "(see `histscan run --help`)"
    source: Any = "pages"
    while arguments and arguments[0].partition("=")[0] == "--source":
        _, is_joined, source = arguments[0].partition("=")
        source, arguments = (source, arguments[1:]) if is_joined else ("".join(arguments[1:2]), arguments[2:])
        if source not in SOURCES:
            raise UsageError(f"--source must be one of {', '.join(SOURCES)}, not {source!r} {see}")
    if not arguments:
        raise UsageError(f"no script given: pass the path of a script, or -m MODULE {see}")
    first, rest = arguments[0], arguments[1:]
    if first.startswith("-m"):
        # As for Python: `-m module` or `-mmodule`.
        name, rest = (first[2:], rest) if first != "-m" else (rest[0] if rest else "", rest[1:])
        if not name:
            raise UsageError(f"-m needs a module name {see}")
        return _Target(name, True, rest, source)
    if first.startswith("-"):
        raise UsageError(f"`histscan run` has no option {first}: put options of the script after its path {see}")
    return _Target(first, False, rest, source)


def _prepare(target: _Target) -> Callable[[], object]:
    """Sets up the process for a target, and returns the function that runs it."""
    if target.is_module:
        sys.argv = ["-m", *target.arguments]
        if not _is_isolated():
            sys.path[:1] = [os.getcwd()]
        _install(target.source)
        return _module_program(target.name)
    sys.argv = [target.name, *target.arguments]
    path = os.path.abspath(target.name)
    program = _package_program(target.name, path) or _file_program(target.name, path)
    _install(target.source)
    return program


def _install(source: SourceOption) -> None:
    from histscan.errors import WandbMissingError
    from histscan.installing.installation import install

    try:
        install(source=source)
    except WandbMissingError:
        raise
    except ImportError as error:
        # pyarrow is missing, which reads the files. Any other missing module shows its own traceback.
        if source != "parquet" or "pyarrow" not in str(error):
            raise
        raise UsageError(str(error)) from error


def _is_isolated() -> bool:
    """Returns True if Python does not add a script's folder to sys.path (-I, -P)."""
    return bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))


def _package_program(name: str, path: str) -> Callable[[], object] | None:
    """Returns a function that runs a folder or a zip file; None if the path is neither."""
    import pkgutil

    importer: Any = pkgutil.get_importer(path)
    if importer is None:
        return None
    spec = importer.find_spec("__main__")
    if spec is None:
        raise UsageError(f"can't find a __main__.py in {name!r}")
    # The program's modules are in there: added even in isolated mode, as Python does.
    sys.path[: 0 if _is_isolated() else 1] = [path]
    surroundings = {"__file__": spec.origin, "__cached__": spec.cached, "__spec__": spec, "__package__": ""}
    return lambda: _run_as_main(spec.loader.get_code("__main__"), spec.loader, surroundings)


def _file_program(name: str, path: str) -> Callable[[], object]:
    """Returns a function that runs a source file or a .pyc file."""
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        raise UsageError(f"can't open {name!r}: {error.strerror}") from None
    if not _is_isolated():
        sys.path[:1] = [os.path.dirname(os.path.realpath(path))]
    surroundings = {"__file__": path, "__cached__": None}
    if path.endswith(".pyc"):
        compiled = SourcelessFileLoader("__main__", path)
        return lambda: _run_as_main(compiled.get_code("__main__"), compiled, surroundings)
    loader = SourceFileLoader("__main__", path)
    return lambda: _run_as_main(compile(source, path, "exec", dont_inherit=True), loader, surroundings)


def _module_program(name: str) -> Callable[[], object]:
    import importlib.util
    import runpy

    try:
        found = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        # Only a missing parent package means that the module does not exist. If the package itself fails to import
        # something, running it shows the traceback.
        found = error.name is None or not f"{name}.".startswith(f"{error.name}.")
    except (ImportError, ValueError):
        found = True
    if not found:
        raise UsageError(f"there is no module named {name}")
    return lambda: runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_as_main(code: Any, loader: object, surroundings: dict[str, Any]) -> None:
    main = ModuleType("__main__")
    main.__dict__.update(surroundings, __builtins__=builtins, __loader__=loader)
    if "__annotations__" in vars(sys.modules["__main__"]):
        # Some Python releases create __annotations__ in __main__, and code relies on it.
        main.__annotations__ = {}
    # Never restored: threads and exit handlers of the script may look up __main__ later.
    sys.modules["__main__"] = main
    exec(code, main.__dict__)  # noqa: S102 - runs the user's script


def _run_with_own_tracebacks(program: Callable[[], object]) -> None:
    """Runs a program. The traceback of an uncaught exception shows only the program's frames."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        _shorten_when_shown(error, sys._getframe())
        raise


def _shorten_when_shown(error: BaseException, outermost: FrameType) -> None:
    """Makes sys.excepthook drop the frames of an exception down to `outermost`, and those of runpy below it."""
    show = sys.excepthook

    def show_shortened(kind: type[BaseException], shown: BaseException, trace: TracebackType | None) -> None:
        if shown is error:
            trace = shown.__traceback__ = _below(trace, outermost)
        show(kind, shown, trace)

    sys.excepthook = show_shortened


def _below(trace: TracebackType | None, outermost: FrameType) -> TracebackType | None:
    found = trace
    while found is not None and found.tb_frame is not outermost:
        found = found.tb_next
    if found is None:
        return trace
    inner = found.tb_next
    while inner is not None and inner.tb_frame.f_globals.get("__name__") in (__name__, "runpy"):
        inner = inner.tb_next
    return inner
