"""Which functions of the core the stored corpora and the first inputs reach, and which they do not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benches.text_table import format_cells
from fuzz.builds import ROOT, WORK, environment_of, program_of
from fuzz.campaign import make_seeds, stored_inputs
from fuzz.targets import ORACLE_TARGETS

__all__ = ["coverage_of", "report_of"]

_LINE = re.compile(r"(?:UN)?COVERED_FUNC: hits: \d+ edges: (\d+)/(\d+) (.*) (\S+):\d+$", re.MULTILINE)
_HEADERS, _MODULES, _CYTHON, _LIBRARIES = (
    "functions of the headers (.hpp)",
    "functions of the modules (.pyx, .pxd)",
    "what Cython adds: set-up of modules and types, pickling, memoryviews, helpers",
    "Python's headers and the C++ library, inlined",
)
_OWN_FUNCTION = re.compile(r"__pyx_(?:f|pw|pf|gb)_\d+histscan_5_core_")
_ADDED_METHOD = re.compile(r"(?:__reduce_cython__|__setstate_cython__|__pyx_unpickle)")


@dataclass
class Function:
    """A function of the core, in all modules that it is compiled into.

    Attributes:
        name: Its name, as clang has it.
        path: Its source: a header, or the C++ file of a module.
        edges: How many edges it has where it has most.
        reached: How many of them one target reached, where that was most.
    """

    name: str
    path: str
    edges: int
    reached: int

    @property
    def kind(self) -> str:
        """Which part of the core it belongs to."""
        if not self.path.startswith(str(ROOT)):
            return _LIBRARIES
        if self.path.endswith(".hpp"):
            return _HEADERS
        is_own = _OWN_FUNCTION.match(self.name) and not _ADDED_METHOD.search(self.name)
        return _MODULES if is_own else _CYTHON


def coverage_of(names: Sequence[str]) -> list[Function]:
    """Runs targets on their first inputs and stored corpora, and returns the functions that they load.

    Args:
        names: The targets; those in C++ tell nothing, because each is a program of its own.

    Raises:
        BuildError: A target cannot be built.
        CalledProcessError: An input fails.
    """
    found: dict[tuple[str, str], Function] = {}
    for name in names:
        if name not in ORACLE_TARGETS:
            continue
        seeds = WORK / "seeds" / name
        make_seeds(name, seeds)
        ran = subprocess.run(
            [program_of(name), "-runs=0", "-print_coverage=1", seeds, stored_inputs(name)],
            env=environment_of(name),
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
        )
        for reached, edges, function, path in _LINE.findall(ran.stderr):
            path = path.replace("/src/histscan/_core/", "/_core/")
            known = found.setdefault((function, path), Function(function, path, 0, 0))
            known.edges = max(known.edges, int(edges))
            known.reached = max(known.reached, int(reached))
    return list(found.values())


def report_of(functions: Iterable[Function]) -> str:
    """Writes how many functions and edges were reached, and which of the core's own functions were not.

    Args:
        functions: The functions.
    """
    kinds: dict[str, list[Function]] = {kind: [] for kind in (_HEADERS, _MODULES, _CYTHON, _LIBRARIES)}
    for function in functions:
        kinds[function.kind].append(function)
    rows = [
        (
            kind,
            f"{sum(function.reached > 0 for function in members):,}",
            f"{len(members):,}",
            f"{sum(function.reached for function in members):,}",
            f"{sum(function.edges for function in members):,}",
        )
        for kind, members in kinds.items()
    ]
    lines = format_cells(("part of the core", "reached", "functions", "reached", "edges"), rows, range(1, 5))
    lines.append("\nNot reached:")
    missed = [function for kind in (_HEADERS, _MODULES) for function in kinds[kind] if not function.reached]
    lines += sorted(f"{function.path.partition('/_core/')[2]}  {_plain_name(function.name)}" for function in missed)
    return "\n".join(lines)


def _plain_name(name: str) -> str:
    """Returns a function's name without its arguments, and without what Cython puts before it."""
    plain = re.sub(r"\(.*", "", name).removeprefix("void ")
    plain = _OWN_FUNCTION.sub("", re.sub(r"<.*>(?=::)|<.*", "", plain))
    # Cython's names count the letters of each module and class.
    return re.sub(r"(?:^|_)\d+(?=[A-Za-z])", " ", plain).strip()
