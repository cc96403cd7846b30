"""Tables of several runs: some of each run's rows, rows on a common axis, statistics of groups of runs."""

from histscan.series.alignment import align_rows
from histscan.series.sampling import sample_rows, tail_rows
from histscan.series.statistics import STATISTICS, aggregate_rows

__all__ = ["STATISTICS", "aggregate_rows", "align_rows", "sample_rows", "tail_rows"]
