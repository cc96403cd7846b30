"""Measures each shape in each encoding against its peers, and prints the matrix of ratios."""

from __future__ import annotations

import gc
import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow

from benches.case import Scale
from benches.clock import CLOCK
from benches.data import Row
from benches.shapes.encodings import ENCODINGS, Encoding, Work
from benches.shapes.inputs import ShapeInputs, make_inputs
from benches.shapes.rows import SHAPES, Shape
from benches.text_table import format_cells

__all__ = ["MATRIX", "ShapeOutcome", "format_matrix", "measure_shapes"]

MATRIX = "shapes"
"""The name on the command line."""

_FEWEST_ROUNDS = 7
_MOST_ROUNDS = 31
_SECONDS = 0.6
"""Each contestant is timed for about so long, within the numbers of rounds."""

_FEWEST_SLOW_ROUNDS = 3
_SLOW_SECONDS = 5.0
"""Contestants who together take longer than so many seconds are timed in fewer rounds."""

_SLOWEST_PEER = 3.0
"""Peers whose first pass takes longer than so many times that of the fastest are not timed again."""

_LEGEND = """\
Each cell is the time of the fastest peer divided by ours: medians of {rounds} or more rounds (three if they take
longer than {slow:.0f} s), in which the contestants alternate. "←" marks ratios below their minimum, "-" rows that no
peer reads. A peer counts only if it returns the same rows (json.loads decides), or as many rows and columns."""


@dataclass(frozen=True)
class ShapeOutcome:
    """The measurements of a shape in an encoding.

    Attributes:
        shape: The shape.
        encoding: The encoding.
        our_seconds: The median of our rounds.
        peers: The medians of the peers' rounds by name; without those that do not read such rows.
        floor: The minimum ratio.
        failed: Why the other peers do not count, by name.
    """

    shape: Shape
    encoding: Encoding
    our_seconds: float
    peers: dict[str, float]
    floor: float
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def fastest(self) -> str | None:
        """The name of the fastest peer; None without any."""
        return min(self.peers, key=self.peers.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """The fastest peer's time divided by ours; None without a peer."""
        return None if self.fastest is None else self.peers[self.fastest] / self.our_seconds

    @property
    def is_below_floor(self) -> bool:
        """True if the ratio is below its minimum."""
        return self.ratio is not None and self.ratio < self.floor

    def as_json(self) -> dict[str, Any]:
        """Returns the numbers as a JSON object."""
        return {
            "shape": self.shape.name,
            "encoding": self.encoding.name,
            "our_seconds": self.our_seconds,
            "peers": self.peers,
            "fastest": self.fastest,
            "ratio": self.ratio,
            "floor": self.floor,
            "is_below_floor": self.is_below_floor,
            "without": self.failed,
        }


def measure_shapes(
    shapes: Sequence[str], encodings: Sequence[str], scale: Scale, say: Callable[[str], None]
) -> Iterator[ShapeOutcome]:
    """Measures shapes in encodings.

    Args:
        shapes: Names of shapes.
        encodings: Names of encodings.
        scale: Its `most_rounds` limits the rounds.
        say: Called with the progress.

    Yields:
        The outcomes, by shape.

    Raises:
        AssertionError: Our rows or columns are not those of the shape.
    """
    for name in shapes:
        say(f"shape {name} …")
        with tempfile.TemporaryDirectory() as folder:
            inputs = make_inputs(SHAPES[name], Path(folder))
            for encoding in encodings:
                if "parquet" not in encoding or inputs.parquet is not None:
                    yield _measure(SHAPES[name], ENCODINGS[encoding], inputs, scale)


def _measure(shape: Shape, encoding: Encoding, inputs: ShapeInputs, scale: Scale) -> ShapeOutcome:
    expected = _Expected(inputs.rows)
    fault = expected.find_fault(encoding, encoding.ours(inputs), is_ours=True)
    if fault:
        raise AssertionError(f"{shape.name}, {encoding.name}: {fault}")
    first_passes: dict[str, float] = {}
    failed = {}
    for name, work in encoding.peers.items():
        try:
            fault = expected.find_fault(encoding, work(inputs), is_ours=False)
            first_passes[name] = _time_once(work, encoding, inputs)
        except Exception as error:
            # Libraries refuse rows with errors of many kinds.
            fault = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        if fault:
            first_passes.pop(name, None)
            failed[name] = fault
    limit = _SLOWEST_PEER * min(first_passes.values(), default=0.0)
    fast = {name: encoding.peers[name] for name, seconds in first_passes.items() if seconds <= limit}
    seconds = _time({"": encoding.ours, **fast}, encoding, inputs, scale)
    ours = seconds.pop("")
    return ShapeOutcome(shape, encoding, ours, seconds, _floor_of(shape, encoding, inputs), failed)


def _floor_of(shape: Shape, encoding: Encoding, inputs: ShapeInputs) -> float:
    if shape.is_numeric and encoding.numeric_floor is not None:
        return encoding.numeric_floor
    if encoding.struct_floor is not None and inputs.has_structs:
        return encoding.struct_floor
    return encoding.floor


def _time_once(work: Work, encoding: Encoding, inputs: ShapeInputs) -> float:
    """Returns the seconds of one pass. Rows are dropped as they come, as by a loop over a scan."""
    gc.collect()
    started = CLOCK.read()
    result = work(inputs)
    if encoding.gives_rows:
        deque(result, maxlen=0)
    return CLOCK.read() - started


def _time(works: dict[str, Work], encoding: Encoding, inputs: ShapeInputs, scale: Scale) -> dict[str, float]:
    rounds: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    gc.freeze()
    spent = 0.0
    while True:
        for name, work in works.items():
            rounds[name].append(_time_once(work, encoding, inputs))
        done = len(rounds[""])
        spent += sum(times[-1] for times in rounds.values())
        if done >= scale.most_rounds or done >= _MOST_ROUNDS:
            break
        if done >= _FEWEST_ROUNDS and spent > _SECONDS * len(works):
            break
        if done >= _FEWEST_SLOW_ROUNDS and spent > _SLOW_SECONDS:
            break
    gc.unfreeze()
    return {name: median(times) for name, times in rounds.items()}


class _Expected:
    """The rows that a result must have."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        # repr() distinguishes 1, 1.0 and True, and 0.0 and -0.0; all NaN are equal.
        self._texts = [repr(row) for row in rows]
        self._columns = dict.fromkeys(key for row in rows for key in row)

    def find_fault(self, encoding: Encoding, result: Any, *, is_ours: bool) -> str | None:
        """Returns what is wrong with a result; None for nothing."""
        if encoding.gives_rows:
            return self._fault_of_rows(list(result))
        return self._fault_of_table(result, are_cells_compared=is_ours)

    def _fault_of_rows(self, rows: list[Any]) -> str | None:
        if len(rows) != len(self._rows):
            return f"{len(rows)} rows of {len(self._rows)}"
        for number, (row, text) in enumerate(zip(rows, self._texts, strict=True)):
            if repr(row) != text:
                return f"row {number} differs: {row!r:.200} instead of {text:.200}"
        return None

    def _fault_of_table(self, table: Any, *, are_cells_compared: bool) -> str | None:
        names = table.columns if not isinstance(table, pyarrow.Table) else table.column_names
        if len(table) != len(self._rows):
            return f"{len(table)} rows of {len(self._rows)}"
        # Columns without any value are no columns in Parquet files.
        missing = [
            key
            for key in self._columns
            if key not in set(names) and any(row.get(key) is not None for row in self._rows)
        ]
        if missing:
            return f"{len(missing)} of {len(self._columns)} columns are missing: {missing[0]!r}"
        return self._fault_of_cells(table) if are_cells_compared else None

    def _fault_of_cells(self, table: pyarrow.Table) -> str | None:
        for key, column in zip(table.column_names, table.columns, strict=True):
            is_text = pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)
            values = [row.get(key) for row in self._rows]
            if column.null_count != values.count(None):
                return f"{key} has {column.null_count} nulls instead of {values.count(None)}"
            cells = column.drop_null().to_pylist()
            for cell, value in zip(cells, (value for value in values if value is not None), strict=True):
                if isinstance(value, (dict, list)) and isinstance(cell, str):
                    same = json.loads(cell) == value
                else:
                    same = cell == value or (is_text and cell == json.dumps(value)) or (cell != cell and value != value)
                if not same:
                    return f"{key} has {cell!r:.100} instead of {value!r:.100}"
        return None


def format_matrix(outcomes: Sequence[ShapeOutcome]) -> str:
    """Formats outcomes as a table of shapes and encodings, with the minimum ratios and what is below them.

    Args:
        outcomes: The outcomes, by shape.

    Returns:
        The table and its legend.
    """
    encodings = list(dict.fromkeys(outcome.encoding.name for outcome in outcomes))
    by_shape: dict[str, dict[str, ShapeOutcome]] = {}
    for outcome in outcomes:
        by_shape.setdefault(outcome.shape.name, {})[outcome.encoding.name] = outcome
    rows = [[name, *(_cell(cells.get(encoding)) for encoding in encodings)] for name, cells in by_shape.items()]
    below = [
        f"{outcome.shape.name}, {outcome.encoding.name}: {outcome.ratio:.2f}x of {outcome.fastest}, "
        f"at least {outcome.floor:.2f}x"
        for outcome in outcomes
        if outcome.ratio is not None and outcome.is_below_floor
    ]
    lines = [*format_cells(["rows", *encodings], rows, range(1, len(encodings) + 1)), ""]
    lines += [_LEGEND.format(rounds=_FEWEST_ROUNDS, slow=_SLOW_SECONDS), *(f"← {line}" for line in below)]
    return "\n".join(lines)


def _cell(outcome: ShapeOutcome | None) -> str:
    if outcome is None or outcome.ratio is None:
        return "-"
    return f"{'← ' if outcome.is_below_floor else ''}{outcome.ratio:.2f}x"
