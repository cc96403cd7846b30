"""``histscan run``: a script that uses wandb, left as it is, with histscan's iterators in the place of wandb's.

The script gets what it would get from Python: ``sys.argv``, ``sys.path``, ``__main__``, its own exit code and its own
tracebacks. So nothing here may stand around it that changes warnings, signals or output; the command's usual guard is
for the time before the script only.
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
from histscan.cli.messages import printable
from histscan.errors import HistoryError
from histscan.sources.source_option import SOURCES, SourceOption

__all__ = ["declare", "run", "run_command"]

USAGE = """\
usage: histscan run [--source SOURCE] SCRIPT [ARGUMENT ...]
       histscan run [--source SOURCE] -m MODULE [ARGUMENT ...]

Run a script that uses wandb, and needs no change for it, with histscan reading
the history of its runs: what `import histscan; histscan.install()` on its first
line would do. SCRIPT may be anything that Python runs: a file, or a folder or
zip file with a __main__.py.

options:
  --source {pages,parquet,auto}
                 where rows come from: pages, as wandb asks for them (default);
                 the Parquet files that the server has exported a history to, and
                 pages of the rest; or such files where they can be had

examples:
  histscan run plot_losses.py --project vision
  histscan run --source parquet plot_losses.py
  histscan run -m analysis.report

Processes that the script starts are on their own, unless they are forked.
"""


class _Target(NamedTuple):
    """What is to be run.

    Attributes:
        name: Path of a script, or name of a module.
        is_module: Whether it is a module.
        arguments: The arguments for it.
        source: Where rows come from, as install() takes it.
    """

    name: str
    is_module: bool
    arguments: Sequence[str]
    source: SourceOption


def declare(parser: argparse.ArgumentParser) -> None:
    """Takes whatever follows: the command line behind ``run`` is the script's, and read by `run_command`.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("script", nargs=argparse.REMAINDER)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - as all commands have it
    """Stands for the command where something precedes it; else it is run by `run_command`.

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
        The exit code, if there is nothing to run, it can't be run, or it runs to its end. The exceptions of the script
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
            raise UsageError(f"--source is one of {', '.join(SOURCES)}, not {source!r} {see}")
    if not arguments:
        raise UsageError(f"name a script to run {see}")
    first, rest = arguments[0], arguments[1:]
    if first.startswith("-m"):
        # As Python takes it: `-m module` or `-mmodule`.
        name, rest = (first[2:], rest) if first != "-m" else (rest[0] if rest else "", rest[1:])
        if not name:
            raise UsageError(f"-m needs the name of a module {see}")
        return _Target(name, True, rest, source)
    if first.startswith("-"):
        raise UsageError(f"{first} is no option of `histscan run`: options of the script come after it {see}")
    return _Target(first, False, rest, source)


def _prepare(target: _Target) -> Callable[[], object]:
    """Sets the process up for a target, and returns what runs it."""
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
        # pyarrow, without which no files can be read; anything else that is missing has a traceback of its own.
        if source != "parquet" or "pyarrow" not in str(error):
            raise
        raise UsageError(str(error)) from error


def _is_isolated() -> bool:
    """Whether Python was asked not to look for modules beside a script; else its first path is that of this command."""
    return bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))


def _package_program(name: str, path: str) -> Callable[[], object] | None:
    """Returns what runs a folder or an archive; None if the path is neither."""
    import pkgutil

    importer: Any = pkgutil.get_importer(path)
    if importer is None:
        return None
    spec = importer.find_spec("__main__")
    if spec is None:
        raise UsageError(f"can't find a __main__.py in {name!r}")
    # Its modules are in there, isolated or not.
    sys.path[: 0 if _is_isolated() else 1] = [path]
    surroundings = {"__file__": spec.origin, "__cached__": spec.cached, "__spec__": spec, "__package__": ""}
    return lambda: _run_as_main(spec.loader.get_code("__main__"), spec.loader, surroundings)


def _file_program(name: str, path: str) -> Callable[[], object]:
    """Returns what runs a file, of source or compiled."""
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
        # The module's own package; what that fails to import is for the traceback to tell.
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
        # Python makes this one itself in some releases, and code looks for it.
        main.__annotations__ = {}
    # For good, not for the time of the call: threads and exit handlers of the script look for their module here.
    sys.modules["__main__"] = main
    exec(code, main.__dict__)  # noqa: S102 - that is the purpose


def _run_with_own_tracebacks(program: Callable[[], object]) -> None:
    """Runs a program; the traceback of an exception that ends the process shows the program's frames alone."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        _shorten_when_shown(error, sys._getframe())
        raise


def _shorten_when_shown(error: BaseException, outermost: FrameType) -> None:
    """Has Python show an exception without the frames down to one, and those of the machinery right below it."""
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
