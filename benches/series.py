"""Tables of many runs: sampled, aligned and aggregated, against the same work by polars, pandas and numpy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy
import pandas
import polars
import pyarrow

from benches.case import Case, Contestant, Scale
from histscan.series import aggregate_rows, align_rows, sample_rows

__all__ = ["SERIES_CASES", "ManyRuns"]

_RUNS_PER_PAGE = 100
_GROUPS = 10
_BUCKETS = 50
_SAMPLES = 100
_SIGNIFICANT_DIGITS = 9
_STATISTICS = ("mean", "std", "min", "max", "count")


@dataclass(frozen=True)
class ManyRuns:
    """The rows of many runs, all of the same steps.

    Attributes:
        table: The columns ``_step``, ``loss``, and ``val/loss``, which every tenth row has.
        offsets: The first row of each run, and the number of all rows.
        groups: The group of each run.
        frame: The rows in polars, with their group and run.
        pandas_frame: The same in pandas.
        row_count: The number of rows to compare.
    """

    table: pyarrow.Table
    offsets: list[int]
    groups: list[int]
    frame: polars.DataFrame
    pandas_frame: Any
    row_count: int


def _many_runs(scale: Scale, compared: int | None = None) -> ManyRuns:
    source = random.Random(0)
    runs, rows = scale.pages * _RUNS_PER_PAGE, scale.page_rows
    losses = [source.gauss(run, 1 + step / 100) for run in range(runs) for step in range(rows)]
    table = pyarrow.table(
        {
            "_step": [step for _ in range(runs) for step in range(rows)],
            "loss": losses,
            "val/loss": [None if index % 10 else loss for index, loss in enumerate(losses)],
        }
    )
    groups = [run % _GROUPS for run in range(runs)]
    named = table.append_column("run", pyarrow.array(numpy.repeat(numpy.arange(runs), rows)))
    named = named.append_column("group", pyarrow.array(numpy.repeat(numpy.array(groups), rows)))
    return ManyRuns(
        table,
        [run * rows for run in range(runs + 1)],
        groups,
        polars.DataFrame(named),
        named.to_pandas(),
        compared or runs * rows,
    )


def _for_groups(scale: Scale) -> ManyRuns:
    return _many_runs(scale, compared=_GROUPS * _BUCKETS)


def _sample(inputs: ManyRuns) -> Iterator[Any]:
    # The rows between are sampled by one column here, as polars does it.
    table, offsets = sample_rows(inputs.table.drop_columns("val/loss"), inputs.offsets, _SAMPLES)
    yield inputs, table, offsets


def _sample_by_polars(inputs: ManyRuns) -> Iterator[Any]:
    rows = inputs.offsets[1]
    parts = (_SAMPLES - 2) // 2
    frame = inputs.frame.with_row_index("row")
    place = polars.int_range(polars.len()).over("run")
    between = frame.with_columns(place=place).filter((polars.col("place") > 0) & (polars.col("place") < rows - 1))
    extremes = (
        between.with_columns(part=(polars.col("place") * parts - 1) // (rows - 2))
        .group_by("run", "part")
        .agg(
            low=polars.col("row").get(polars.col("loss").arg_min()),
            high=polars.col("row").get(polars.col("loss").arg_max()),
        )
    )
    ends = frame.group_by("run").agg(low=polars.col("row").first(), high=polars.col("row").last())
    kept = polars.concat([side[name] for side in (extremes, ends) for name in ("low", "high")]).unique().sort()
    table = frame.select("_step", "loss", "run")[kept]
    counts = table.group_by("run", maintain_order=True).len()["len"].to_list()
    yield inputs, table.drop("run").to_arrow(), [0, *numpy.cumsum(counts).tolist()]


def _kept_rows(results: Iterable[Any]) -> Iterator[Any]:
    """Yields for each row of the input whether it was kept."""
    for inputs, table, offsets in results:
        steps = table.column("_step").to_pylist()
        for run, (begin, end) in enumerate(pairwise(offsets)):
            kept = set(steps[begin:end])
            for step in range(inputs.offsets[1]):
                yield run, step, step in kept


def _aggregate(method: str) -> Callable[[ManyRuns], Iterator[Any]]:
    def work(inputs: ManyRuns) -> Iterator[Any]:
        keys = ["loss", "val/loss"]
        yield aggregate_rows(
            inputs.table, inputs.offsets, inputs.groups, keys, method=method, statistics=_STATISTICS, buckets=_BUCKETS
        )

    return work


def _aggregate_by_polars(inputs: ManyRuns) -> Iterator[Any]:
    last = inputs.offsets[1] - 1
    bucket = (polars.col("_step") / last * _BUCKETS).floor().clip(0, _BUCKETS - 1)
    means = inputs.frame.group_by("group", "run", bucket=bucket).agg(polars.col("loss", "val/loss").mean())
    statistics = [
        getattr(polars.col(key), name)().alias(f"{key}.{name}") for key in ("loss", "val/loss") for name in _STATISTICS
    ]
    found = means.group_by("group", _step=(polars.col("bucket") + 0.5) / _BUCKETS * last).agg(statistics)
    yield found.sort("group", "_step").to_arrow()


def _aggregate_by_pandas(inputs: ManyRuns) -> Iterator[Any]:
    last = inputs.offsets[1] - 1
    frame = inputs.pandas_frame
    buckets = numpy.minimum((frame["_step"] / last * _BUCKETS).astype(int), _BUCKETS - 1)
    placed = frame.assign(_step=(buckets + 0.5) / _BUCKETS * last)
    means = placed.groupby(["group", "run", "_step"])[["loss", "val/loss"]].mean()
    found = means.groupby(["group", "_step"])[["loss", "val/loss"]].agg(list(_STATISTICS))
    found.columns = [f"{key}.{name}" for key, name in found.columns]
    yield pyarrow.Table.from_pandas(found.reset_index(), preserve_index=False)


def _interpolate_by_numpy(inputs: ManyRuns) -> Iterator[Any]:
    last = inputs.offsets[1] - 1
    places = numpy.linspace(0, last, _BUCKETS)
    columns = {key: inputs.table.column(key).to_numpy() for key in ("_step", "loss", "val/loss")}
    known = {key: ~numpy.isnan(columns[key]) for key in ("loss", "val/loss")}
    frames = []
    for group in range(_GROUPS):
        frame = {"group": numpy.full(_BUCKETS, group), "_step": places}
        for key in ("loss", "val/loss"):
            curves = []
            for run in range(group, len(inputs.groups), _GROUPS):
                rows = slice(inputs.offsets[run], inputs.offsets[run + 1])
                chosen = known[key][rows]
                steps, numbers = columns["_step"][rows][chosen], columns[key][rows][chosen]
                curves.append(numpy.interp(places, steps, numbers, left=numpy.nan, right=numpy.nan))
            counts = (~numpy.isnan(curves)).sum(axis=0)
            has_runs = counts > 0
            statistics = {name: numpy.full(_BUCKETS, numpy.nan) for name in _STATISTICS[:-1]}
            inside = numpy.array(curves)[:, has_runs]
            statistics["mean"][has_runs] = numpy.nanmean(inside, axis=0)
            statistics["std"][has_runs] = numpy.nanstd(inside, axis=0, ddof=1)
            statistics["min"][has_runs] = numpy.nanmin(inside, axis=0)
            statistics["max"][has_runs] = numpy.nanmax(inside, axis=0)
            frame |= {f"{key}.{name}": numbers for name, numbers in statistics.items()} | {f"{key}.count": counts}
        frames.append(pandas.DataFrame(frame))
    yield pyarrow.Table.from_pandas(pandas.concat(frames), preserve_index=False)


def _rounded_rows(tables: Iterable[Any]) -> Iterator[Any]:
    """Yields rows with rounded numbers: sums in another order differ in the last digits."""
    for table in tables:
        for row in table.to_pylist():
            yield {
                key: f"{value:.{_SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else value
                for key, value in row.items()
            }


def _align(inputs: ManyRuns) -> Iterator[Any]:
    yield align_rows(inputs.table, inputs.offsets, how="ffill")[0]


def _align_by_polars(inputs: ManyRuns) -> Iterator[Any]:
    merged = inputs.frame.group_by("run", "_step", maintain_order=True).agg(
        polars.col("loss", "val/loss").drop_nulls().last()
    )
    filled = merged.sort("run", "_step").with_columns(polars.col("loss", "val/loss").forward_fill().over("run"))
    yield filled.select("_step", "loss", "val/loss").to_arrow()


def _rows(tables: Iterable[Any]) -> Iterator[Any]:
    for table in tables:
        yield from table.to_pylist()


SERIES_CASES: tuple[Case[ManyRuns], ...] = (
    Case(
        "series-sample",
        f"{_SAMPLES} rows of each run",
        _many_runs,
        Contestant(f"polars {polars.__version__}: arg_min, arg_max", _sample_by_polars, _kept_rows),
        Contestant("histscan", _sample, _kept_rows),
        floor=10.0,
        rounds=15,
    ),
    Case(
        "series-align",
        "forward fill on a common axis",
        _many_runs,
        Contestant(f"polars {polars.__version__}: forward_fill", _align_by_polars, _rows),
        Contestant("histscan", _align, _rows),
        floor=4.0,
        rounds=15,
    ),
    Case(
        "series-aggregate",
        f"statistics in {_BUCKETS} buckets",
        _for_groups,
        Contestant(f"polars {polars.__version__}: group_by", _aggregate_by_polars, _rounded_rows),
        Contestant("histscan", _aggregate("bucket"), _rounded_rows),
        floor=4.0,
        rounds=15,
    ),
    Case(
        "series-aggregate-pandas",
        f"statistics in {_BUCKETS} buckets",
        _for_groups,
        Contestant(f"pandas {pandas.__version__}: groupby", _aggregate_by_pandas, _rounded_rows),
        Contestant("histscan", _aggregate("bucket"), _rounded_rows),
        floor=4.0,
        rounds=15,
    ),
    Case(
        "series-interpolate",
        f"statistics at {_BUCKETS} points",
        _for_groups,
        Contestant(f"numpy {numpy.__version__}: interp", _interpolate_by_numpy, _rounded_rows),
        Contestant("histscan", _aggregate("interpolate"), _rounded_rows),
        floor=None,
        rounds=15,
    ),
)
