"""The table of runs: one row for each run, with its names, state, config and summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from histscan.common.install_hint import install_hint
from histscan.common.printable import printable
from histscan.many.schemas import flat_table

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from histscan.runs.contracts import Run

__all__ = ["RunTable", "describe_runs", "need_pyarrow", "parse_time", "plain_columns", "to_polars"]

_TEXTS = ("id", "name", "state", "group", "job_type", "sweep", "entity", "project", "notes")
_TIMES = ("created_at", "heartbeat_at")
_FIRST = ("id", "name", "state", "created_at", "heartbeat_at", "duration", "tags", "group", "job_type", "sweep")
_LAST = ("entity", "project", "notes", "last_step")

_COLUMNS_SHOWN = 8
_ROWS_SHOWN = 20
_WIDTH_SHOWN = 24


class RunTable:
    """A table with one row for each run; consumers of Arrow's PyCapsules take it, too.

    Args:
        table: The table.
    """

    def __init__(self, table: pyarrow.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._table.schema.names)

    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows as dicts, in which columns without a value are None."""
        rows: list[dict[str, Any]] = self._table.to_pylist()
        return rows

    def to_arrow(self) -> pyarrow.Table:
        """Returns the table as a ``pyarrow.Table``."""
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """Returns the table as a ``pandas.DataFrame``."""
        return self._table.to_pandas(ignore_metadata=True)

    def to_polars(self) -> polars.DataFrame:
        """Returns the table as a ``polars.DataFrame``.

        Raises:
            ImportError: polars is not installed.
        """
        return to_polars(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the table as a stream of record batches, for consumers of Arrow's PyCapsules."""
        return self._table.__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        from histscan.many.runs_html import table_html

        return table_html(self)

    def __repr__(self) -> str:
        shown = self.columns[:_COLUMNS_SHOWN]
        rows = self._table.select(shown).slice(0, _ROWS_SHOWN).to_pylist()
        cells = [shown, *([_cell(row[name]) for name in shown] for row in rows)]
        widths = [max(len(line[place]) for line in cells) for place in range(len(shown))]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        more = f"{len(self):,} runs, {len(self.columns):,} columns"
        return "\n".join([*lines, more])


def to_polars(table: pyarrow.Table) -> polars.DataFrame:
    """Converts a table to a polars frame.

    Args:
        table: The table.

    Returns:
        The frame.

    Raises:
        ImportError: polars is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise ImportError(f"to_polars() needs polars: {install_hint('polars')}") from error
    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    return frame


def need_pyarrow() -> Any:
    """Imports pyarrow, or raises an error that says what to install."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"frames of many runs need pyarrow: {install_hint('arrow')}") from error
    return pyarrow


def describe_runs(runs: Iterable[Run], threads: int = 1) -> RunTable:
    """Makes the table of runs.

    Args:
        runs: The runs.
        threads: How many runs are described at the same time.

    Returns:
        The table: id, name, state, times, duration, tags, group, job type and sweep; ``config.…`` and ``summary.…``,
        flattened, in the order in which they first appear; entity, project, notes and the last step.

    Raises:
        HistoryError: A run can't be read.
    """
    import pyarrow

    with ThreadPoolExecutor(threads, thread_name_prefix="histscan-runs") as pool:
        described = list(pool.map(_describe, runs))
    count = len(described)
    columns: dict[str, Any] = {}
    for name in _FIRST:
        columns[name] = _column(name, [row[name] for row in described])
    for part in ("config", "summary"):
        nested = flat_table([{part: row[part]} for row in described], flatten=True) if count else None
        for field, values in zip(nested.schema, nested.columns, strict=True) if nested is not None else ():
            if field.name != part and field.name.startswith(f"{part}.") and field.name not in columns:
                columns[field.name] = (field, values)
    for name in _LAST:
        columns[name] = _column(name, [row[name] for row in described])
    fields = [field for field, _ in columns.values()]
    return RunTable(
        pyarrow.Table.from_arrays([values for _, values in columns.values()], schema=pyarrow.schema(fields))
    )


def _describe(run: Run) -> dict[str, Any]:
    summary = {key: value for key, value in run.summary.items() if key != "_wandb"}
    step = summary.get("_step")
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "created_at": parse_time(run.created_at),
        "heartbeat_at": parse_time(run.heartbeat_at),
        "duration": run.duration,
        "tags": run.tags,
        "group": run.group,
        "job_type": run.job_type,
        "sweep": run.sweep_id,
        "entity": run.entity,
        "project": run.project,
        "notes": run.notes,
        "last_step": step if isinstance(step, int) and not isinstance(step, bool) else None,
        "config": run.config,
        "summary": summary,
    }


def _column(name: str, values: Sequence[Any]) -> tuple[pyarrow.Field, pyarrow.Array]:
    import pyarrow

    if name in _TEXTS:
        made = pyarrow.array([value or None for value in values], pyarrow.string())
    elif name in _TIMES:
        made = pyarrow.array(values, pyarrow.timestamp("us", "UTC"))
    elif name == "tags":
        made = pyarrow.array(values, pyarrow.list_(pyarrow.string()))
    elif name == "duration":
        made = pyarrow.array(values, pyarrow.float64())
    else:
        made = pyarrow.array(values, pyarrow.int64())
    return pyarrow.field(name, made.type), made


def parse_time(text: str) -> datetime | None:
    """Parses a time of a run.

    Args:
        text: The time as runs have it, ``"2026-01-31T12:00:00Z"``; empty if unknown.

    Returns:
        The time in UTC; None if it is unknown.
    """
    try:
        # Python 3.10 does not know the Z.
        parsed = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
    return parsed.replace(tzinfo=timezone.utc) if parsed.tzinfo is None else parsed


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    return text if len(text) <= _WIDTH_SHOWN else f"{text[: _WIDTH_SHOWN - 1]}…"


def plain_columns(table: pyarrow.Table) -> pyarrow.Table:
    """Makes columns of plain types, which every engine knows.

    Args:
        table: The table.

    Returns:
        The table, in which the columns that name the run are text.
    """
    import pyarrow

    kinds = [
        field.with_type(field.type.value_type) if pyarrow.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pyarrow.schema(kinds))
