"""Arrow tables as pandas frames in which integers and bools keep their values beside gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from histscan.common.install_hint import install_hint

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["DtypeBackend", "make_pandas"]

DtypeBackend = Literal["numpy_nullable", "pyarrow"]
"""The types of columns, by pandas' own names for them."""


def make_pandas(table: pyarrow.Table, dtype_backend: DtypeBackend | None = None) -> pandas.DataFrame:
    """Converts a table to a pandas frame.

    Args:
        table: The table.
        dtype_backend: None for the types of numpy, except for integers and bools with gaps, which have pandas' nullable
            types: numpy has no missing integer, so they would become floats and lose digits. ``"numpy_nullable"`` for
            pandas' nullable types of all numbers, bools and text; ``"pyarrow"`` for the types of Arrow.

    Returns:
        The frame.

    Raises:
        ImportError: pandas is not installed.
        ValueError: There is no such backend.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"to_pandas() needs pandas: {install_hint('pandas')}") from error
    import pyarrow

    frame: pandas.DataFrame
    if dtype_backend == "pyarrow":
        frame = table.to_pandas(types_mapper=pandas.ArrowDtype, ignore_metadata=True)
        return frame
    nullable = {
        pyarrow.int64(): pandas.Int64Dtype(),
        pyarrow.uint64(): pandas.UInt64Dtype(),
        pyarrow.bool_(): pandas.BooleanDtype(),
    }
    if dtype_backend == "numpy_nullable":
        more: dict[Any, Any] = {pyarrow.float64(): pandas.Float64Dtype(), pyarrow.string(): pandas.StringDtype()}
        frame = table.to_pandas(types_mapper={**nullable, **more}.get, ignore_metadata=True)
        return frame
    if dtype_backend is not None:
        raise ValueError(f"dtype_backend must be None, 'numpy_nullable' or 'pyarrow', not {dtype_backend!r}")
    places = range(table.num_columns)
    gaps = [place for place in places if table.column(place).null_count and table.column(place).type in nullable]
    if not gaps:
        frame = table.to_pandas(ignore_metadata=True)
        return frame
    others = [place for place in places if place not in set(gaps)]
    frame = pandas.concat(
        [
            table.select(others).to_pandas(ignore_metadata=True),
            table.select(gaps).to_pandas(types_mapper=nullable.get, ignore_metadata=True),
        ],
        axis=1,
    )
    order = [*others, *gaps]
    in_order: pandas.DataFrame = frame.iloc[:, sorted(places, key=order.__getitem__)]
    return in_order
