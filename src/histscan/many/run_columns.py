"""The columns that name the run of each row: its id, its name, and entries of its config."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from histscan.common.keys import ABSENT, find_value
from histscan.many.schemas import flat_table

if TYPE_CHECKING:
    import pyarrow

    from histscan.runs.contracts import Run

__all__ = ["RUN_ID", "RUN_NAME", "RunColumns", "key_column", "run_ids"]

RUN_ID = "run_id"
RUN_NAME = "run_name"

_PLACE_BYTES = 4


_Rows = TypeVar("_Rows", bound="pyarrow.RecordBatch | pyarrow.Table")


class RunColumns:
    """Makes the columns that name the run of each row.

    Args:
        values: One row for each run, by its place: a text for its id and name, and entries of its config.
    """

    def __init__(self, values: pyarrow.Table) -> None:
        self._values = values

    @classmethod
    def of(cls, runs: Sequence[Run], entries: Sequence[str]) -> RunColumns:
        """Finds the values of runs.

        Args:
            runs: The runs.
            entries: The entries of their configs that become columns, dotted.

        Returns:
            The columns. Ids and names are dictionaries of the ids and names of all runs.
        """
        import pyarrow

        columns = {
            RUN_ID: pyarrow.array(run_ids(runs), pyarrow.string()),
            RUN_NAME: pyarrow.array([run.name for run in runs], pyarrow.string()),
        }
        fields = [pyarrow.field(name, values.type) for name, values in columns.items()]
        arrays = list(columns.values())
        if entries:
            keys = [f"config.{entry}" for entry in entries]
            rows = (
                {
                    key: value
                    for key, entry in zip(keys, entries, strict=True)
                    if (value := find_value(run.config, entry)) is not ABSENT
                }
                for run in runs
            )
            table = flat_table(rows, keys, flatten=False)
            fields.extend(table.schema)
            arrays.extend(column.combine_chunks() for column in table.columns)
        return cls(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields)))

    @property
    def ids(self) -> list[str]:
        """The id of each run."""
        ids: list[str] = self._values.column(RUN_ID).to_pylist()
        return ids

    def take(self, places: Sequence[int]) -> RunColumns:
        """Returns the columns of some runs, with the same types.

        Args:
            places: The places of the runs.
        """
        import pyarrow

        return RunColumns(self._values.take(pyarrow.array(places, pyarrow.int64())))

    def _make(self, counts: Iterable[tuple[int, int]]) -> tuple[list[pyarrow.Field], list[pyarrow.Array]]:
        """Makes the columns of rows, given the place of each run and the number of its rows."""
        import pyarrow

        # Repeating bytes is faster than repeating items of an array.
        places = b"".join(place.to_bytes(_PLACE_BYTES, sys.byteorder) * count for place, count in counts)
        rows = len(places) // _PLACE_BYTES
        indices = pyarrow.Array.from_buffers(pyarrow.int32(), rows, [None, pyarrow.py_buffer(places)])
        fields, arrays = [], []
        for field, column in zip(self._values.schema, self._values.columns, strict=True):
            values = column.combine_chunks()
            if isinstance(values, pyarrow.ChunkedArray):
                values = values.chunk(0) if values.num_chunks else pyarrow.array([], field.type)
            if field.name in (RUN_ID, RUN_NAME):
                # Several runs may have one name, and the values of a dictionary must differ.
                encoded = values.dictionary_encode()
                made = pyarrow.DictionaryArray.from_arrays(encoded.indices.take(indices), encoded.dictionary)
                fields.append(pyarrow.field(field.name, made.type))
            else:
                made = values.take(indices)
                fields.append(field)
            arrays.append(made)
        return fields, arrays

    def add_to_schema(self, schema: pyarrow.Schema) -> pyarrow.Schema:
        """Puts the fields of the columns before those of the keys.

        Args:
            schema: The fields of the keys.

        Returns:
            The schema.
        """
        import pyarrow

        return pyarrow.schema(_joined(self._make([])[0], schema))

    def add_to(self, rows: _Rows, counts: Iterable[tuple[int, int]]) -> _Rows:
        """Puts the columns before those of the keys.

        Args:
            rows: The columns of the keys: a table or a record batch.
            counts: The place of each run, and the number of its rows, in order.

        Returns:
            The same with all columns.
        """
        import pyarrow

        fields, arrays = self._make(counts)
        schema = pyarrow.schema(_joined(fields, rows.schema))
        joined: _Rows = type(rows).from_arrays([*arrays, *rows.columns], schema=schema)
        return joined


def key_column(key: str, own: Collection[str]) -> str:
    """Returns the name of the column of a logged key: another one if it is the name of a column that names the run.

    Args:
        key: The key.
        own: The names of the columns that name the run.
    """
    return f"history.{key}" if key in own else key


def _joined(fields: list[pyarrow.Field], keys: pyarrow.Schema) -> list[pyarrow.Field]:
    own = {field.name for field in fields}
    return [*fields, *(field.with_name(key_column(field.name, own)) for field in keys)]


def run_ids(runs: Iterable[Run]) -> list[str]:
    """Finds a name for each run that no other has.

    Args:
        runs: The runs.

    Returns:
        The ids; for runs of several projects with the same id, the paths ``entity/project/id``.
    """
    paths = [run.path for run in runs]
    counts = Counter(path[-1] for path in paths)
    return ["/".join(filter(None, path)) if counts[path[-1]] > 1 else path[-1] for path in paths]
