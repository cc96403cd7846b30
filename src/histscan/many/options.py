"""The options of frames of many runs as one object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict, cast

from histscan.columns.options import Nested
from histscan.columns.reductions import ReduceArguments, Reduction, check_reduction
from histscan.columns.timestamps import Timestamps, check_timestamps
from histscan.common.key_patterns import KeyChoice
from histscan.common.keys import lead_columns
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP

__all__ = ["FrameArguments", "FrameOptions", "LazyArguments", "RunsProgress"]

_STYLES: dict[str, tuple[Any, ...]] = {
    "nested": ("json", "flatten"),
    "on_error": ("raise", "skip"),
}


@dataclass(frozen=True)
class RunsProgress:
    """The progress of reading many runs, for the function that is passed as `progress`.

    Attributes:
        runs: Runs that were read.
        total: The number of all runs.
        rows: Rows that were read.
        bytes: Bytes of these runs' files; for runs on a server, all that the process received from servers meanwhile.
    """

    runs: int
    total: int
    rows: int
    bytes: int = 0


class FrameArguments(ReduceArguments, total=False):
    """The keyword arguments of the frames of many runs, beside those of `histscan.columns.reductions.ReduceArguments`.

    Attributes:
        config: Entries of the runs' configs (``"optimizer.lr"``) that become columns beside the run's id, named
            ``config.optimizer.lr``.
        min_step: First step, inclusive.
        max_step: Step to stop at, exclusive; None for the end.
        nested: ``"json"`` makes JSON text of nested values, ``"flatten"`` makes columns with dotted names.
        threads: How many runs are read at the same time; None for a number that suits where they are stored.
        with_step: The step is the first column of keys, also if the keys do not have it; True by default.
        timestamps: ``"seconds"`` leaves ``_timestamp`` as it was logged, in seconds since 1970; ``"datetime"`` makes
            dates and times in UTC of it.
        on_error: What to do about a run that can't be read: ``"raise"`` raises its error; ``"skip"`` leaves the run
            out with a warning, and notes it in `Runs.failures`.
        progress: True for a progress bar, or a function that is called with a `RunsProgress`.
    """

    config: Iterable[str]
    min_step: int
    max_step: int | None
    nested: Nested
    threads: int | None
    with_step: bool
    timestamps: Timestamps
    on_error: Literal["raise", "skip"]
    progress: bool | Callable[[RunsProgress], object]


class LazyArguments(TypedDict, total=False):
    """The keyword arguments of lazy frames and of distributed tables of many runs.

    Attributes:
        config: As in `FrameArguments`.
        min_step: As in `FrameArguments`.
        max_step: As in `FrameArguments`.
        nested: As in `FrameArguments`.
        threads: As in `FrameArguments`.
        with_step: As in `FrameArguments`.
    """

    config: Iterable[str]
    min_step: int
    max_step: int | None
    nested: Nested
    threads: int | None
    with_step: bool


@dataclass(frozen=True)
class FrameOptions(Reduction):
    """What to read of many runs, and how; `FrameArguments` describes the attributes.

    Attributes:
        keys: The chosen keys; None for all.
        keeps_axis: The x-axis is a column in any case.
    """

    keys: KeyChoice | None = None
    config: tuple[str, ...] = ()
    min_step: int = 0
    max_step: int | None = None
    nested: str = "json"
    threads: int | None = None
    with_step: bool = False
    timestamps: Timestamps = "seconds"
    on_error: Literal["raise", "skip"] = "raise"
    progress: bool | Callable[[RunsProgress], object] = False
    keeps_axis: bool = False

    @classmethod
    def of_frame(cls, keys: Iterable[str | re.Pattern[str]] | None, arguments: FrameArguments) -> FrameOptions:
        """Checks the arguments of a frame method.

        Args:
            keys: As for `KeyChoice.of`.
            arguments: The other arguments.

        Returns:
            The options.

        Raises:
            TypeError: There is no such argument.
            ValueError: An argument is out of its range.
        """
        given: dict[str, Any] = dict(arguments)
        unknown = set(given) - ({field.name for field in fields(cls)} - {"keys", "keeps_axis"})
        if unknown:
            raise TypeError(f"there is no argument {', '.join(sorted(unknown))}")
        for name, choices in _STYLES.items():
            if given.get(name, choices[0]) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {given[name]!r}")
        check_reduction(given)
        check_timestamps(given.get("timestamps", "seconds"))
        if given.get("threads") is not None and given["threads"] < 1:
            raise ValueError(f"threads must be at least 1, not {given['threads']}")
        wanted = given.get("config", ())
        if isinstance(wanted, str):
            raise ValueError(f"config must be a list of entries, not {wanted!r}")
        given["config"] = tuple(name.removeprefix("config.") for name in wanted)
        return cls(keys=KeyChoice.of(keys), **given)

    @classmethod
    def of_lazy(cls, keys: Iterable[str | re.Pattern[str]] | None, arguments: LazyArguments) -> FrameOptions:
        """Checks the arguments of a lazy frame, or of a distributed table.

        Args:
            keys: As for `KeyChoice.of`.
            arguments: The other arguments.

        Returns:
            The options.

        Raises:
            TypeError: There is no such argument.
            ValueError: An argument is out of its range.
        """
        unknown = set(arguments) - set(LazyArguments.__annotations__)
        if unknown:
            raise TypeError(f"there is no argument {', '.join(sorted(unknown))} here")
        return cls.of_frame(keys, cast("FrameArguments", {"with_step": True, **arguments}))

    @property
    def flatten(self) -> bool:
        """True if nested values become columns with dotted names."""
        return self.nested == "flatten"

    @cached_property
    def names(self) -> list[str] | None:
        """The keys to make columns of, with the x-axis if rows are reduced; None if they are unknown before reading."""
        names = None if self.keys is None else self.keys.names
        return names if names is None else self._with_axis(names)

    def select(self, known: list[str]) -> list[str]:
        """Chooses the columns of a frame.

        Args:
            known: The columns that there are, in the order in which they appeared.

        Returns:
            The columns in their order: as the caller ordered the keys; for all keys, see `lead_columns`.
        """
        if self.keys is not None:
            return self._with_axis(self.keys.select(known))
        return lead_columns(known)

    def declare_step(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Adds the type of the step to those that the caller declared, if `with_step` adds the step to their keys.

        Args:
            declared: The formats that the caller declared.
        """
        names = self.names
        is_rest = names is not None and {name for name in names if name not in declared} == {STEP}
        return {STEP: "l", **declared} if self.with_step and is_rest else dict(declared)

    def _with_axis(self, names: list[str]) -> list[str]:
        needs_axis = self.keeps_axis or self.needs_axis
        names = [self.x, *names] if needs_axis and self.x not in names else names
        return [STEP, *names] if self.with_step and names and STEP not in names else names
