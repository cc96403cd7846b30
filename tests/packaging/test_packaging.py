"""What is packed into the sdist and the wheel, what an import costs, and that the stubs tell the truth."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

CORE = ROOT / "_core"

# What a checkout has beside the sources. The C++ files that Cython made are kept: they must not be packed, and
# making them anew takes long.
LEFT_OUT = shutil.ignore_patterns(
    "*.egg-info", ".git", ".venv", ".venvs", ".*cache", ".hypothesis", "__pycache__", "*.so", "dist", "out"
)

# Which files are packed is what is tested here; that they compile, every installation shows.
COMPILER = """#!/bin/sh
echo "$@" >> "$COMMANDS"
while [ $# -gt 1 ]; do
    [ "$1" = -o ] && : > "$2"
    shift
done
"""


# Bytes of all modules, installed and in the wheel: half as much again as on x86-64 with GCC 12. With symbols for
# debuggers, they would be several times as large.
INSTALLED_SIZE = 5_700_000
PACKED_SIZE = 3_200_000


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=LEFT_OUT)
    return folder / "source"


def build(source: Path, compiler: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Builds packages of a copy of the sources with a shell script in place of the compiler.

    The script finds a path for its notes in ``$COMMANDS``.
    """
    script = source.parent / "compiler"
    script.write_text(compiler)
    script.chmod(0o755)
    settings = {"CC": str(script), "CXX": str(script), "COMMANDS": str(source.parent / "commands")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(source.parent / "dist"),
            *options,
            str(source),
        ],
        env=os.environ | settings | {"HISTSCAN_DEBUG": "", "HISTSCAN_SANITIZE": ""},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def packages(checkout: Path) -> tuple[set[str], set[str]]:
    """The names of the files in the sdist and in the wheel that is built from it."""
    finished = build(checkout, COMPILER)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    folder = checkout.parent
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    with tarfile.open(sdist) as archive:
        # The first part of each name is that of the archive.
        packed = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        return packed, set(archive.namelist())


def modules_of_core() -> set[str]:
    """The compiled modules, as paths below the core without their endings."""
    return {str(path.relative_to(CORE).with_suffix("")) for path in CORE.rglob("*.pyx")}


def test_everything_needed_to_build_is_in_the_sdist(packages: tuple[set[str], set[str]]) -> None:
    sdist, _ = packages
    for suffix in (".pyx", ".pxd", ".pyi", ".hpp", ".py"):
        names = {str(path.relative_to(CORE)) for path in CORE.rglob(f"*{suffix}")}
        assert names
        assert {f"src/histscan/_core/{name}" for name in names} <= sdist
        assert {f"_core/{name}" for name in names} <= sdist
    python_files = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py")}
    assert python_files <= sdist
    assert {"pyproject.toml", "setup.py", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "PKG-INFO"} <= sdist
    assert "src/histscan/py.typed" in sdist


def test_tests_and_what_they_read_are_in_the_sdist(packages: tuple[set[str], set[str]]) -> None:
    sdist, _ = packages
    for folder in ("tests", "examples", "benches"):
        files = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        files = {name for name in files if "__pycache__" not in name and not name.endswith((".pyc", ".json"))}
        assert files
        assert files <= sdist


def test_the_wheel_has_modules_and_stubs(packages: tuple[set[str], set[str]]) -> None:
    _, wheel = packages
    for module in modules_of_core():
        assert any(re.fullmatch(rf"histscan/_core/{module}\.[\w.-]*\.(so|pyd)", name) for name in wheel), module
        assert f"histscan/_core/{module}.pyi" in wheel
    sources = ROOT / "src"
    assert {str(path.relative_to(sources)) for path in sources.rglob("*.py")} <= wheel
    assert "histscan/py.typed" in wheel
    assert "histscan/proto/__init__.pyi" in wheel
    assert {name.partition("/")[0].partition("-")[0] for name in wheel} == {"histscan"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)


def test_nothing_else_is_packed(packages: tuple[set[str], set[str]]) -> None:
    sdist, wheel = packages
    for name in sdist:
        assert not name.endswith((".cpp", ".so", ".o", ".html", ".pyc", ".lock")), name
        # Cython's, unlike those of tests.
        assert not name.endswith(".c") or name.startswith("tests/"), name
        assert not name.startswith(("build/", ".venv", ".git/", "dist/", "out/")), name
    for name in wheel:
        assert not name.endswith((".cpp", ".c", ".o", ".pyx", ".pxd", ".hpp", ".html", ".pyc")), name
        assert "test" not in name, name


def test_modules_of_the_wheel_are_stripped(packages: tuple[set[str], set[str]], checkout: Path) -> None:
    """Nothing is compiled here, so that the linker's arguments must show it."""
    commands = (checkout.parent / "commands").read_text().splitlines()
    links = [command for command in commands if ".so" in command.split(" -o ")[-1]]
    assert len(links) == len(modules_of_core())
    assert all(command.split()[-1] == ("-Wl,-x" if sys.platform == "darwin" else "-Wl,-s") for command in links)


def test_doubles_are_computed_alike_on_all_processors(packages: tuple[set[str], set[str]], checkout: Path) -> None:
    """ARM64 has an instruction for a * b + c, which rounds once; compilers use it unless they are told not to."""
    commands = (checkout.parent / "commands").read_text().splitlines()
    compiled = [command for command in commands if " -c build/" in command]
    assert len(compiled) == len(modules_of_core())
    assert all("-ffp-contract=off" in command.split() for command in compiled)


def test_the_size_of_the_wheel(tmp_path: Path) -> None:
    """The modules of this checkout, stripped and packed as a wheel packs them."""
    strip = shutil.which("strip")
    if strip is None:
        pytest.skip("there is no strip")
    modules = [
        path for path in CORE.rglob("*.so") if f".cpython-{sys.version_info[0]}{sys.version_info[1]}-" in path.name
    ]
    assert len(modules) == len(modules_of_core())
    with zipfile.ZipFile(tmp_path / "modules.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for place, module in enumerate(modules):
            stripped = tmp_path / str(place)
            subprocess.run([strip, "-o", str(stripped), str(module)], check=True)
            packed.write(stripped)
    assert sum(path.stat().st_size for path in tmp_path.glob("[0-9]*")) < INSTALLED_SIZE
    assert (tmp_path / "modules.zip").stat().st_size < PACKED_SIZE


NOT_A_COMPILER = """#!/bin/sh
echo "unrecognized command-line option -std=c++17" >&2
exit 1
"""
NO_HEADERS = """#!/bin/sh
for word in "$@"; do
    case "$word" in *.cpp) ! grep -q Python.h "$word" || exit 1 ;; esac
done
"""


@pytest.mark.parametrize(
    ("compiler", "advice"),
    [
        (None, "histscan's core needs a C++17 compiler: GCC 11, clang 14 or newer, e.g. apt install g++ "),
        (NOT_A_COMPILER, "histscan's core needs a C++17 compiler: GCC 11, clang 14 or newer, e.g. apt install g++ "),
        (NO_HEADERS, "histscan's core needs the headers of Python, e.g. apt install python3-dev "),
    ],
    ids=["none", "too old", "no headers"],
)
def test_one_line_says_what_is_missing_to_compile(compiler: str | None, advice: str, checkout: Path) -> None:
    """Before anything is translated, which takes a minute."""
    finished = build(checkout, "#!/no/such/interpreter\n" if compiler is None else compiler, "--wheel")
    assert finished.returncode != 0
    printed = finished.stdout + finished.stderr
    assert [line.startswith(f"error: {advice}") for line in printed.splitlines() if "error: histscan" in line] == [True]
    assert "Cythonizing" not in printed
    assert "Traceback" not in printed


def test_every_module_of_the_core_has_a_stub() -> None:
    assert {str(path.relative_to(CORE).with_suffix("")) for path in CORE.rglob("*.pyi")} == modules_of_core()


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=600, cwd=ROOT
    )


def imported_by(statement: str) -> set[str]:
    """The modules that a statement imports."""
    finished = run_python("-X", "importtime", "-c", statement)
    assert finished.returncode == 0, finished.stderr
    modules = {
        line.rpartition("|")[2].strip() for line in finished.stderr.splitlines() if line.startswith("import time:")
    }
    assert "encodings" in modules
    return modules


HEAVY = (
    "gql",
    "requests",
    "google.protobuf",
    "graphql",
    "numpy",
    "wandb",
    "orjson",
    "pandas",
    "pyarrow",
    "polars",
    "tqdm",
)


@pytest.mark.parametrize(
    ("statement", "light"),
    [
        ("import histscan", HEAVY),
        ("import histscan; dir(histscan); histscan.HistoryError; histscan.__version__", HEAVY),
        ("import histscan; histscan.HistoryScan, histscan.BetaHistoryScan, histscan.SampledHistoryScan", HEAVY),
        ("import histscan._core.pages.formats, histscan._core.rows.scan, histscan._core.pages.log_reader", HEAVY),
        (
            "import histscan; histscan.open, histscan.LogRun, histscan.LogScan",
            ("gql", "requests", "graphql", "numpy", "wandb"),
        ),
    ],
)
def test_imports_are_light(statement: str, light: tuple[str, ...]) -> None:
    modules = imported_by(statement)
    assert any(name.startswith("histscan") for name in modules)
    assert {name for name in modules if name in light or name.startswith(tuple(f"{name}." for name in light))} == set()


def test_public_names_are_all_there() -> None:
    program = """
import histscan
for name in histscan.__all__:
    value = getattr(histscan, name)
    assert name in dir(histscan) and value is getattr(histscan, name)
try:
    histscan.missing
except AttributeError as error:
    print(error)
"""
    finished = run_python("-c", program)
    assert finished.stdout.strip() == "module 'histscan' has no attribute 'missing'", finished.stderr


# What stubtest finds in any module made by Cython.
MADE_BY_CYTHON = r"""
.*\.__(reduce_cython|setstate_cython|test|pyx_capi)__
# An `__init__` without arguments looks like one with any.
histscan\._core\.rows\.summary_reducer\.SummaryReducer\.__init__
# Constants that modules import from each other.
histscan\._core\.arrow\.arrow_stream\.JSON_FORMAT
# Python has a name for the buffer protocol from 3.12 on.
histscan\._core\.memory\.pooled_bytes\.PooledBytes\.__buffer__
"""


def test_stubs_say_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mypy.stubtest")
    allowed = tmp_path / "allowed"
    allowed.write_text(MADE_BY_CYTHON)
    arguments = [
        "--mypy-config-file",
        "pyproject.toml",
        "--ignore-disjoint-bases",
        "--allowlist",
        str(allowed),
    ]
    finished = run_python("-m", "mypy.stubtest", "histscan._core", *arguments, "--ignore-unused-allowlist")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "no issues" in finished.stdout


def test_types_are_as_annotated() -> None:
    """The modules in tests/typing say of many expressions what type they have; mypy has to agree."""
    pytest.importorskip("mypy")
    finished = run_python("-m", "mypy", "--config-file", "pyproject.toml", "tests/typing")
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_types_are_told_apart(tmp_path: Path) -> None:
    """A wrong annotation among them would be found."""
    pytest.importorskip("mypy")
    source = (ROOT / "tests" / "typing" / "log_types.py").read_text()
    wrong = source.replace("assert_type(run.lastHistoryStep, int)", "assert_type(run.lastHistoryStep, str)")
    assert wrong != source
    module = tmp_path / "wrong_types.py"
    module.write_text(wrong)
    finished = run_python("-m", "mypy", "--config-file", "pyproject.toml", str(module))
    assert finished.returncode == 1
    assert 'Expression is of type "int", not "str"' in finished.stdout
