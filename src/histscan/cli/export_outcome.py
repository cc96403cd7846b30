"""The result of ``histscan export``, and its one-line summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from histscan.cli.figures import file_size, plural

__all__ = ["ExportOutcome"]


@dataclass(frozen=True)
class ExportOutcome:
    """What ``histscan export`` has written.

    Attributes:
        rows: The number of rows.
        keys: The number of keys; None if unknown.
        columns: The number of columns; None if the format has no columns, or one for each key.
        first_step: The step of the first row; None without rows, or if the row has no step.
        last_step: The step of the last row; None as for `first_step`.
        thing: The word for a row in the summary.
    """

    rows: int
    keys: int | None
    columns: int | None
    first_step: float | None
    last_step: float | None
    thing: str = "row"

    def summary(self, goal: Path | None, seconds: float, *, runs: int | None = None) -> str:
        """Describes the export in one line.

        Args:
            goal: The file; None for standard output.
            seconds: The time that writing took.
            runs: The number of runs; None for one run.

        Returns:
            ``history.csv: 5,000 rows, 14 keys, 33 columns, steps 0 to 4999, 1.2 MB; 0.05 s, 98,000 rows/s``.
        """
        facts = [] if runs is None else [plural(runs, "run")]
        facts.append(plural(self.rows, self.thing))
        if self.keys is not None:
            facts.append(plural(self.keys, "key"))
        if self.columns is not None:
            facts.append(plural(self.columns, "column"))
        if runs is None and self.first_step is not None and self.last_step is not None:
            facts.append(f"steps {self.first_step} to {self.last_step}")
        if goal is not None and goal.is_file():
            facts.append(file_size(goal.stat().st_size))
        speed = f"{self.rows / seconds:,.0f} {self.thing}s/s" if seconds > 0 else "at once"
        return f"{goal or 'standard output'}: {', '.join(facts)}; {seconds:.2f} s, {speed}"
