"""Which lines and branches of the core the stored corpora and the first inputs reach, and which they do not.

The core is built without sanitizers, and with clang's counters of source code. Of what Cython writes, only the lines
and the conditions of its sources count: Cython notes before each statement which line it comes from.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benches.text_table import format_cells
from fuzz.builds import ROOT, WORK, BuildError, compile_program
from fuzz.campaign import empty_folder
from fuzz.run_inputs import inputs_of
from fuzz.source_functions import Functions
from fuzz.targets import FOLDER, HEADER_TARGETS, ORACLE_TARGETS

__all__ = ["Coverage", "coverage_of_inputs", "coverage_of_tests", "report_of"]

BUILD = ROOT / ".venvs" / "coverage"
"""The package, with the core that counts."""

_WORK = WORK / "coverage"
_FLAGS = "-fprofile-instr-generate -fcoverage-mapping"
_SOURCE = re.compile(r'\s*/\* "histscan/(_core/[\w/.]+)":(\d+)$')
_SECTION = "/* #### Code section:"
# A condition of the source, as Cython writes it; other conditions are its own checks.
_CONDITION = re.compile(r"[!(]*__pyx_(?:t_\d+|v_\w+)\b")
_OWN_CHECK = re.compile(r"likely|Py[A-Z_]|__Pyx|NULL|Exception")

_PARTS = {
    "headers (.hpp)": re.compile(r"_core/(?!series/).*\.hpp"),
    "modules (.pyx, .pxd)": re.compile(r"_core/(?!series/).*\.p"),
    "series": re.compile(r"_core/series/"),
}

Place = tuple[str, int]
"""A source below the root, and a line of it."""


@dataclass
class Coverage:
    """What was reached of the core.

    Attributes:
        lines: For each line with code, whether it was executed.
        branches: For each condition, by its place, column and text, whether it was true and whether it was false.
    """

    lines: dict[Place, bool] = field(default_factory=dict)
    branches: dict[tuple[Place, int, str], tuple[bool, bool]] = field(default_factory=dict)

    def add_line(self, place: Place, is_reached: bool) -> None:
        """Adds a line of one module; it is reached if it is in any."""
        self.lines[place] = self.lines.get(place, False) or is_reached

    def add_branch(self, place: Place, column: int, text: str, was_true: bool, was_false: bool) -> None:
        """Adds a condition of one module."""
        before = self.branches.get((place, column, text), (False, False))
        self.branches[place, column, text] = (before[0] or was_true, before[1] or was_false)

    def reached_lines(self) -> set[Any]:
        """Returns the lines that were executed."""
        return {place for place, is_reached in self.lines.items() if is_reached}

    def sides(self) -> set[Any]:
        """Returns both sides of each branch, which are taken if its condition is true, and if it is false."""
        return {(branch, side) for branch in self.branches for side in (0, 1)}

    def reached_sides(self) -> set[Any]:
        """Returns the sides of branches that were taken."""
        return {(branch, side) for branch, side in self.sides() if self.branches[branch][side]}

    def missed(self) -> dict[Place, str]:
        """Returns what was not reached: for each line, what of it."""
        found = {place: "" for place, is_reached in self.lines.items() if not is_reached}
        for (place, _, text), (was_true, was_false) in sorted(self.branches.items()):
            if self.lines.get(place, True) and not (was_true and was_false):
                never = "true" if was_false else "false"
                found[place] = f"{found[place]}; " if place in found else ""
                found[place] += f"`{text}` is never {never}" if not text.startswith("__pyx") else f"never {never}"
        return found


def build() -> None:
    """Builds the core with counters, if it is older than its sources.

    Raises:
        BuildError: The compiler failed.
    """
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(BUILD)]
    command += ["build_ext", "--build-lib", str(BUILD), "--build-temp", "build/coverage"]
    stamp = BUILD / ".built"
    sources = [path for pattern in ("*.pyx", "*.pxd", "*.hpp") for path in (ROOT / "_core").rglob(pattern)]
    sources += (ROOT / "src").rglob("*.py")
    if stamp.exists() and stamp.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    # The last of several options for optimisation counts, and without any this takes a fraction of the time.
    compiler = WORK / "clang-for-coverage"
    compiler.parent.mkdir(parents=True, exist_ok=True)
    compiler.write_text('#!/bin/sh\nexec clang++ "$@" -O0\n')
    compiler.chmod(0o755)
    flags = dict.fromkeys(("CFLAGS", "CXXFLAGS", "LDFLAGS"), _FLAGS)
    environment = {**os.environ, "CC": str(compiler), "CXX": str(compiler), **flags}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if built.returncode:
        raise BuildError(f"{' '.join(command)}\n{built.stderr}")
    stamp.touch()


def coverage_of_inputs(names: Sequence[str]) -> Coverage:
    """Runs targets on their first inputs, their stored corpora and what failed once.

    Args:
        names: The targets.

    Raises:
        BuildError: A target cannot be built.
        CalledProcessError: An input fails.
    """
    build()
    raw = empty_folder(_WORK / "raw")
    programs = []
    for name in names:
        environment = _environment(raw, name)
        if name in ORACLE_TARGETS:
            command: list[str | Path] = [sys.executable, "-m", "fuzz.run_inputs", name]
            # As on processors without AVX-512 and without AVX2, too.
            for baseline in ("AVX2", "1"):
                subprocess.run(command, cwd=ROOT, env={**environment, "HISTSCAN_BASELINE": baseline}, check=True)
        else:
            program = _WORK / name
            compiler = ("clang++", "-std=c++17", "-O1", *_FLAGS.split())
            compile_program(HEADER_TARGETS[name], program, compiler, FOLDER / "headers" / "replay.cc")
            programs.append(program)
            command = [program, *inputs_of(name, empty_folder(_WORK / "inputs"))]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return _read(raw, programs)


def coverage_of_tests(paths: Sequence[str]) -> Coverage:
    """Runs tests with the core that counts.

    Args:
        paths: Files with tests.

    Raises:
        BuildError: The core cannot be built.
    """
    build()
    raw = empty_folder(_WORK / "raw-tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *paths]
    subprocess.run(command, cwd=ROOT, env=_environment(raw, "tests"), stdout=subprocess.DEVNULL, check=False)
    return _read(raw, [])


def _environment(raw: Path, name: str) -> dict[str, str]:
    """The environment of a process that writes its counters to a folder: a file for each module of it."""
    return {**os.environ, "PYTHONPATH": str(BUILD), "LLVM_PROFILE_FILE": f"{raw}/{name}-%4m.profraw"}


def _read(raw: Path, programs: Sequence[Path]) -> Coverage:
    """Sums the counters of a folder."""
    merged = raw / "merged.profdata"
    subprocess.run(["llvm-profdata", "merge", "-sparse", *raw.glob("*.profraw"), "-o", merged], check=True)
    found = Coverage()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for module in (*sorted(BUILD.rglob(f"*{suffix}")), *programs):
        command: list[str | Path] = [
            "llvm-cov",
            "export",
            "-skip-expansions",
            "-skip-functions",
            f"-instr-profile={merged}",
            module,
        ]
        exported = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        for source in json.loads(exported.stdout)["data"][0]["files"]:
            path = source["filename"]
            if path.endswith(".hpp") and "/_core/" in path:
                _add_header(found, f"_core/{path.partition('/_core/')[2]}", source)
            elif path.endswith(".cpp"):
                _add_module(found, path, source)
    return found


def _line_counts(segments: Iterable[list[Any]]) -> dict[int, int]:
    """Returns how often each line with code was executed, as `llvm-cov` counts: by the most frequent of its regions."""
    counts: dict[int, int] = {}
    before: list[Any] | None = None
    for segment in segments:
        line, _, count, has_count, is_entry, *rest = segment
        is_gap = bool(rest and rest[0])
        if before is not None and before[3] and not (len(before) > 5 and before[5]):
            for covered in range(before[0] + 1, line + 1):
                # Of the line that the region ends in, only the beginning belongs to it.
                counts.setdefault(covered, before[2])
        if has_count and is_entry and not is_gap:
            counts[line] = max(counts.get(line, 0), count) if line in counts else count
        before = segment
    return counts


def _add_header(found: Coverage, name: str, source: dict[str, Any]) -> None:
    for line, count in _line_counts(source["segments"]).items():
        found.add_line((name, line), count > 0)
    lines = _lines_of(str(ROOT / name))
    for begin, column, end, end_column, true, false, *_ in source["branches"]:
        text = _text_between(lines, begin, column, end, end_column)
        found.add_branch((name, begin), column, text, true > 0, false > 0)


def _add_module(found: Coverage, path: str, source: dict[str, Any]) -> None:
    places = _places_in(path)
    for line, count in _line_counts(source["segments"]).items():
        if line in places:
            found.add_line(places[line], count > 0)
    lines = _lines_of(path)
    conditions: dict[Place, int] = {}
    for begin, column, end, end_column, true, false, *_ in source["branches"]:
        text = _text_between(lines, begin, column, end, end_column)
        if begin in places and _CONDITION.match(text) and not _OWN_CHECK.search(text):
            # Numbered, because the same source may be translated in several modules, under other names.
            place = places[begin]
            if text.lstrip("(").startswith("!"):
                # Of `a or b`, Cython asks whether `a` is false.
                true, false = false, true
            conditions[place] = conditions.get(place, 0) + 1
            found.add_branch(place, conditions[place], "__pyx", true > 0, false > 0)


@cache
def _lines_of(path: str) -> list[str]:
    return (ROOT / path).read_text().splitlines()


def _text_between(lines: Sequence[str], begin: int, column: int, end: int, end_column: int) -> str:
    if begin != end:
        return f"{lines[begin - 1][column - 1 :]} …"
    return lines[begin - 1][column - 1 : end_column - 1]


@cache
def _places_in(path: str) -> dict[int, Place]:
    """Returns which line of the core's sources each line of a translated module comes from."""
    places: dict[int, Place] = {}
    place: Place | None = None
    for number, line in enumerate(_lines_of(path), 1):
        if marker := _SOURCE.match(line):
            place = (marker[1], int(marker[2]))
        elif line.startswith(_SECTION):
            place = None
        elif place is not None:
            places[number] = place
    return places


def source_of(found: Any) -> str:
    """Returns the source of a line, or of a side of a branch."""
    return found if isinstance(found, str) else source_of(found[0])


def report_of(inputs: Coverage, tests: Coverage | None = None) -> str:
    """Writes how many lines and sides of branches were reached, and what was not, by function.

    Args:
        inputs: What inputs reach.
        tests: What tests reach; None to say nothing of them.
    """
    rows = []
    for kind, matches in _PARTS.items():
        for title, every, reached, by_tests in (
            ("lines", {*inputs.lines}, inputs.reached_lines(), tests.reached_lines() if tests else set()),
            ("sides of branches", inputs.sides(), inputs.reached_sides(), tests.reached_sides() if tests else set()),
        ):
            every = {found for found in every if matches.match(source_of(found))}
            more = every & by_tests - reached
            counts = (len(every & reached), len(more), len(every - reached - more), len(every))
            rows.append((f"{kind}, {title}", *(f"{count:,}" for count in counts)))
    report = format_cells(("", "reached by inputs", "only by tests", "not reached", "all"), rows, range(1, 5))
    functions = Functions(ROOT)
    missed_by_tests = None if tests is None else tests.missed()
    groups: dict[tuple[str, str], list[str]] = {}
    for place, what in sorted(inputs.missed().items()):
        if (function := functions.at(*place)) is None:
            continue
        mark = "" if missed_by_tests is None or place in missed_by_tests else "+"
        groups.setdefault((place[0], function), []).append(f"{mark}{place[1]}{f' ({what})' if what else ''}")
    report.append("\nNot reached by inputs, by line" + (" (+ reached by tests)" if tests else ""))
    for (source, function), notes in groups.items():
        report.append(f"{source} {function}: {', '.join(notes)}")
    return "\n".join(report)
