"""`histscan run`: a script sees the same process as under Python, which is the oracle."""

from __future__ import annotations

import os
import py_compile
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

import histscan
from tests.support.extras import install_command

COMMANDS = {
    "command": [str(Path(sys.executable).with_name("histscan")), "run"],
    "module": [sys.executable, "-m", "histscan", "run"],
}
# The folder of the package: the checkout may be in a folder of the same name.
PACKAGE = str(Path(histscan.__file__).parent)

BY_COMMAND = COMMANDS["module"]
BY_PYTHON = [sys.executable]

Outcome = tuple[int, str, str]

# Importing wandb takes seconds; tests of the script's surroundings use a stub.
WITHOUT_WANDB = """
import sys, types

def install(source):
    if source != "pages":
        print(f"rows from {source}")

sys.modules["histscan.installing.installation"] = types.SimpleNamespace(install=install)
"""


def outcome(command: list[str], *arguments: str, folder: Path, typed: str = "", with_wandb: bool = False) -> Outcome:
    """Exit code, output and errors of a command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WANDB_"))}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "WANDB_ERROR_REPORTING": "false", "HOME": str(folder)}
    if not with_wandb:
        write(folder / "site" / "sitecustomize.py", WITHOUT_WANDB)
        environment["PYTHONPATH"] = str(folder / "site")
    finished = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        timeout=120,
        check=False,
    )
    return finished.returncode, finished.stdout, finished.stderr


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(source), encoding="utf-8")
    return path


SURROUNDINGS = '''
    """A script that prints its surroundings: argv, path, __main__ and flags."""
    import sys

    print(sorted(globals()), __name__, __file__, __spec__, __package__, __doc__, type(__loader__), __cached__)
    print(__builtins__, sys.argv, sys.path, sys.modules["__main__"].__dict__ is globals())
    print(sys.stdin.read())
'''


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_script_sees_the_same_surroundings(tmp_path: Path, command: list[str]) -> None:
    write(tmp_path / "deeper" / "script.py", SURROUNDINGS)
    arguments = ["deeper/script.py", "--debug", "-h", "run", "--", "-m", "✓"]
    found = outcome(command, *arguments, folder=tmp_path, typed="to be read")
    assert found == outcome(BY_PYTHON, *arguments, folder=tmp_path, typed="to be read")
    assert found[0] == 0
    assert "to be read" in found[1]


SCRIPTS = {
    "traceback": """
        def fail():
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("no key") from error

        print("before")
        fail()
    """,
    "no-code": "this is no Python\n",
    "exit-code": "import sys\nsys.exit(3)\n",
    "exit-message": "import sys\nsys.exit('a reason')\n",
    "exit-without-code": "raise SystemExit\n",
    "exit-by-os": "import os\nos._exit(7)\n",
    "own-hook": """
        import sys

        def show(kind, error, trace):
            print("shown:", kind.__name__, error, trace is None, error.__traceback__ is trace)

        sys.excepthook = show
        raise ValueError("for the hook")
    """,
    "late-work": """
        import atexit, pickle, sys, threading

        class Thing:
            pass

        def work():
            print(type(pickle.loads(pickle.dumps(Thing()))) is sys.modules["__main__"].Thing)

        atexit.register(work)
        thread = threading.Thread(target=work)
        thread.start()
        raise RuntimeError("and still they work")
    """,
    "failing-thread": """
        import threading

        def fail():
            raise ValueError("in a thread")

        thread = threading.Thread(target=fail, name="worker")
        thread.start()
        thread.join()
    """,
    "warning": "import warnings\nwarnings.warn('mind this')\n",
    "undecodable": "print('\\udc80')\n",
    "from-future": """
        print(1 if isinstance(eval("0x7f"), int) else 0)
        def annotated(argument: "not evaluated") -> None: ...
        print(annotated.__annotations__)
    """,
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "interrupted": "import signal\nsignal.raise_signal(signal.SIGINT)\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_ends_as_under_python(tmp_path: Path, name: str) -> None:
    write(tmp_path / "script.py", SCRIPTS[name])
    # The exit handlers and hooks that importing wandb installs must not change the outcome.
    with_wandb = name in ("traceback", "late-work")
    found = outcome(BY_COMMAND, "script.py", folder=tmp_path, with_wandb=with_wandb)
    assert found == outcome(BY_PYTHON, "script.py", folder=tmp_path, with_wandb=with_wandb)


def test_ctrl_c_ends_the_script(tmp_path: Path) -> None:
    script = write(
        tmp_path / "script.py",
        """
        import time

        try:
            print("ready", flush=True)
            while True:
                # A signal that arrives just before a blocking call is handled only after the call.
                time.sleep(0.01)
        finally:
            print("tidied up", flush=True)
        """,
    )
    with subprocess.Popen(
        [*BY_COMMAND, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        printed, complaints = process.communicate(timeout=60)
    assert printed == "tidied up\n"
    # Python kills itself with the signal, so that a shell sees it.
    assert process.returncode == -signal.SIGINT
    assert complaints.splitlines()[-1] == "KeyboardInterrupt"
    assert PACKAGE not in complaints


def test_histscan_is_installed_before_the_first_line(tmp_path: Path) -> None:
    write(
        tmp_path / "script.py",
        """
        import sys
        from wandb.apis.public import HistoryScan
        from wandb.apis.public.history import SampledHistoryScan

        print(HistoryScan.__module__, SampledHistoryScan.__module__)
        """,
    )
    code, printed, complaints = outcome(BY_COMMAND, "script.py", folder=tmp_path, with_wandb=True)
    assert (code, printed, complaints) == (0, "histscan.installing.scans histscan.installing.scans\n", "")


def test_module(tmp_path: Path) -> None:
    write(tmp_path / "package" / "__init__.py", "")
    write(tmp_path / "package" / "sibling.py", "NAME = __name__\n")
    write(
        tmp_path / "package" / "report.py",
        """
        import sys
        from .sibling import NAME

        print(NAME, __name__, __package__, __spec__.name, sys.argv, sys.path)
        raise SystemExit(len(sys.argv))
        """,
    )
    for arguments in (["-m", "package.report", "-m", "x"], ["-mpackage.report"]):
        assert outcome(BY_COMMAND, *arguments, folder=tmp_path) == outcome(BY_PYTHON, *arguments, folder=tmp_path)


def test_failing_module_shows_its_own_traceback(tmp_path: Path) -> None:
    write(tmp_path / "failing.py", "def fail():\n    raise ValueError('in a module')\n\nfail()\n")
    code, _, complaints = outcome(BY_COMMAND, "-m", "failing", folder=tmp_path)
    lines = complaints.splitlines()
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{tmp_path}/failing.py", line 4, in <module>'
    assert lines[-1] == "ValueError: in a module"
    assert PACKAGE not in complaints
    assert "runpy" not in complaints


def test_module_with_a_failing_import_shows_the_traceback(tmp_path: Path) -> None:
    write(tmp_path / "importing.py", "import no_such_module_anywhere\n")
    code, _, complaints = outcome(BY_COMMAND, "-m", "importing", folder=tmp_path)
    assert code == 1
    assert complaints.splitlines()[-1] == "ModuleNotFoundError: No module named 'no_such_module_anywhere'"


PROGRAM = """
    import sys, part

    print(part.NAME, sorted(globals()), __name__, __file__, __package__, __spec__.name, __spec__.origin, __cached__)
    print(sys.argv, sys.path, sys.modules["__main__"].__dict__ is globals(), type(__loader__))
"""


@pytest.mark.parametrize("options", [[], ["-I"]], ids=["open", "isolated"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_folder_or_zip_file_with_a_main(tmp_path: Path, kind: str, options: list[str]) -> None:
    main = write(tmp_path / "app" / "__main__.py", PROGRAM)
    part = write(tmp_path / "app" / "part.py", "NAME = __name__\n")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
            archive.write(main, "__main__.py")
            archive.write(part, "part.py")
    name = {"folder": "app", "zip": "app.zip"}[kind]
    by_command = [sys.executable, *options, "-m", "histscan", "run"]
    found = outcome(by_command, name, "x", folder=tmp_path, with_wandb=bool(options))
    assert found == outcome([sys.executable, *options], name, "x", folder=tmp_path, with_wandb=bool(options))
    assert found[0] == 0


def test_compiled_script(tmp_path: Path) -> None:
    script = write(tmp_path / "script.py", SURROUNDINGS)
    compiled = py_compile.compile(str(script), cfile=str(tmp_path / "compiled.pyc"))
    assert compiled is not None
    found = outcome(BY_COMMAND, "compiled.pyc", folder=tmp_path)
    assert found == outcome(BY_PYTHON, "compiled.pyc", folder=tmp_path)
    assert found[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no script given"),
        (["missing.py"], "can't open 'missing.py': No such file or directory"),
        (["-m"], "-m needs a module name"),
        (["-m", "no_such_module"], "there is no module named no_such_module"),
        (["-m", "no_such_package.module"], "there is no module named no_such_package.module"),
        (["folder"], "can't find a __main__.py in 'folder'"),
        (["-v", "script.py"], "`histscan run` has no option -v"),
        (["--source"], "--source must be one of pages, parquet, auto, not ''"),
        (["--source=files", "script.py"], "--source must be one of pages, parquet, auto, not 'files'"),
        (["--source", "parquet"], "no script given"),
    ],
    ids=str,
)
def test_invalid_command_line_is_reported_in_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "folder").mkdir()
    code, printed, complaints = outcome(BY_COMMAND, *arguments, folder=tmp_path)
    assert (code, printed) == (2, "")
    assert complaints.startswith(f"histscan: error: {complaint}")
    assert len(complaints.splitlines()) == 1


@pytest.mark.parametrize("option", [["--source", "parquet"], ["--source=parquet"]], ids=str)
@pytest.mark.parametrize("target", [["script.py"], ["-m", "script"]], ids=str)
def test_source_of_rows(tmp_path: Path, option: list[str], target: list[str]) -> None:
    write(tmp_path / "script.py", "import sys; print(sys.argv[1:])\n")
    found = outcome(BY_COMMAND, *option, *target, "--source", "mine", folder=tmp_path)
    assert found == (0, "rows from parquet\n['--source', 'mine']\n", "")


def test_error_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    script = write(tmp_path / "script.py", "print('never')\n")
    program = "import sys; sys.modules['pyarrow'] = None; from histscan.cli.main import main; sys.exit(main())"
    found = outcome(
        [sys.executable, "-c", program, "run", "--source=parquet", str(script)], folder=tmp_path, with_wandb=True
    )
    assert found == (2, "", f"histscan: error: Parquet files need pyarrow: {install_command('arrow')}\n")


def test_error_without_wandb_says_what_to_install(tmp_path: Path) -> None:
    script = write(tmp_path / "script.py", "print('never')\n")
    program = "import sys; sys.modules['wandb'] = None; from histscan.cli.main import main; sys.exit(main())"
    code, printed, complaints = outcome(
        [sys.executable, "-c", program, "run", str(script)], folder=tmp_path, with_wandb=True
    )
    assert (code, printed) == (1, "")
    assert complaints.startswith("histscan: error: wandb is not installed in this environment: pip install wandb")
    assert len(complaints.splitlines()) == 1


def test_help_lists_the_command(tmp_path: Path) -> None:
    code, printed, _ = outcome(BY_COMMAND, "--help", folder=tmp_path)
    assert code == 0
    assert printed.startswith("usage: histscan run [--source SOURCE] SCRIPT")
    code, printed, _ = outcome(COMMANDS["module"][:-1], "--help", folder=tmp_path)
    assert code == 0
    assert "run       run a script" in printed
    code, _, complaints = outcome(COMMANDS["module"][:-1], "--debug", "run", "script.py", folder=tmp_path)
    assert code == 2
    assert "nothing may come before `run`" in complaints
