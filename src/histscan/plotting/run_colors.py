"""Which colour each run has in a picture of many, and the legend that stays readable however many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from histscan.plotting.colors import COLORS, OTHER, RUN_COLORS, scale_colors
from histscan.plotting.run_curves import RunCurve

__all__ = ["ColorScale", "LegendEntry", "RunColors", "choose_colors", "group_name", "shorten"]

MOST_ENTRIES = 12
"""The most entries of a legend; more lines have a colour bar, or share a last entry."""

_WIDE_RANGE = 20.0


@dataclass(frozen=True)
class LegendEntry:
    """An entry of the legend.

    Attributes:
        color: The colour.
        label: The text; unsafe.
    """

    color: str
    label: str


@dataclass(frozen=True)
class ColorScale:
    """A colour bar.

    Attributes:
        low: The number at its lower end.
        high: The number at its upper end.
        is_log: True for a logarithmic scale.
        is_whole: True if only whole numbers have a meaning.
        label: The text beside it; unsafe.
    """

    low: float
    high: float
    is_log: bool
    is_whole: bool
    label: str


@dataclass(frozen=True)
class RunColors:
    """The colours of runs or of groups of runs.

    Attributes:
        by_place: The colour of each run, by its place.
        by_group: The colour of each group, by the group's name; empty without groups.
        title: The title of the legend; unsafe.
        entries: The entries of the legend.
        scale: The colour bar that replaces the legend; None for a legend.
    """

    by_place: dict[int, str]
    by_group: dict[str, str] = field(default_factory=dict)
    title: str = ""
    entries: Sequence[LegendEntry] = ()
    scale: ColorScale | None = None


def choose_colors(curves: Sequence[RunCurve], group_by: str | None) -> RunColors:
    """Chooses colours.

    Args:
        curves: A curve of each run.
        group_by: The field that groups the runs; None for a colour for each run.

    Returns:
        The colours. Up to 12 runs or groups have a legend. More runs have the colours of a scale, by their order; more
        groups that are numbers, too; of other groups the largest have a colour, and the rest share one.
    """
    by_place = {curve.place: curve for curve in curves}
    runs = [by_place[place] for place in sorted(by_place)]
    if group_by is None:
        return _colors_of_runs(runs)
    return _colors_of_groups(runs, group_by)


def _colors_of_runs(runs: Sequence[RunCurve]) -> RunColors:
    if len(runs) <= MOST_ENTRIES:
        colors = dict(zip((run.place for run in runs), RUN_COLORS, strict=False))
        return RunColors(colors, entries=[LegendEntry(colors[run.place], run.name) for run in runs])
    shades = scale_colors([number / (len(runs) - 1) for number in range(len(runs))])
    scale = ColorScale(1, len(runs), is_log=False, is_whole=True, label="run, in order")
    return RunColors(dict(zip((run.place for run in runs), shades, strict=True)), scale=scale)


def _colors_of_groups(runs: Sequence[RunCurve], group_by: str) -> RunColors:
    members: dict[str, list[RunCurve]] = {}
    for run in runs:
        members.setdefault(group_name(run.group), []).append(run)
    values = {name: group[0].group for name, group in members.items()}
    numbers = {name: float(value) for name, value in values.items() if _is_number(value)}
    named = [name for name, value in values.items() if value is not None]
    scale = None
    if len(numbers) == len(named) > 2:
        order = sorted(numbers, key=numbers.__getitem__)
        low, high = numbers[order[0]], numbers[order[-1]]
        is_log = low > 0 and high / low >= _WIDE_RANGE
        shares = [_share(numbers[name], low, high, is_log=is_log) for name in order]
        if len(order) <= MOST_ENTRIES:
            # In a legend, neighbours must differ more than their numbers may.
            shares = [number / (len(order) - 1) for number in range(len(order))]
        colors = dict(zip(order, scale_colors(shares), strict=True))
        is_whole = all(isinstance(values[name], int) for name in order)
        if len(order) > MOST_ENTRIES:
            scale = ColorScale(low, high, is_log, is_whole, group_by)
    else:
        order = sorted(named, key=lambda name: (numbers.get(name, math.inf), name))
        palette = COLORS if len(order) <= len(COLORS) else RUN_COLORS
        if len(order) > MOST_ENTRIES:
            largest = sorted(order, key=lambda name: -len(members[name]))[: MOST_ENTRIES - 1]
            order = [name for name in order if name in set(largest)]
        colors = dict(zip(order, palette, strict=False))
    rest = [name for name in members if name not in colors]
    by_group = {name: colors.get(name, OTHER) for name in members}
    entries = [LegendEntry(colors[name], f"{name} ({_runs(members[name])})") for name in order]
    if rest:
        label = "none" if rest == [group_name(None)] else f"{len(rest)} others"
        entries.append(LegendEntry(OTHER, f"{label} ({_runs([run for name in rest for run in members[name]])})"))
    by_place = {run.place: by_group[name] for name, group in members.items() for run in group}
    # The rest come last, so that lines with a meaning are not hidden beneath them in the order of the groups.
    ordered = {name: by_group[name] for name in [*rest, *order]}
    return RunColors(by_place, ordered, group_by, () if scale else entries, scale)


def _runs(runs: Sequence[RunCurve]) -> str:
    return f"{len(runs)} run" if len(runs) == 1 else f"{len(runs)} runs"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _share(number: float, low: float, high: float, *, is_log: bool) -> float:
    if high == low:
        return 0.5
    return math.log(number / low) / math.log(high / low) if is_log else (number - low) / (high - low)


def shorten(names: Sequence[str], longest: int) -> list[str]:
    """Leaves out the beginning that all names share, if a name is too long.

    Args:
        names: The names.
        longest: The largest number of characters.

    Returns:
        The names; those without their beginning start with an ellipsis.
    """
    if len(names) < 2 or max(map(len, names)) <= longest:
        return list(names)
    # Names that sort first and last differ earliest.
    first, last = min(names), max(names)
    shared = next(
        (place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    # Whole words: `lr0.1` and `lr0.2` stay as they are.
    cut = max(first.rfind(separator, 0, shared) for separator in "-_/ ") + 1
    return [f"…{name[cut:]}" if cut else name for name in names]


def group_name(value: Any) -> str:
    """Returns the text of the value that a group of runs shares.

    Args:
        value: The value.
    """
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(group_name, value)) or "none"
    return str(value)
