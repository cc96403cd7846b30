"""What ``histscan plot`` says of values and keys that it can't show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from histscan.cli.messages import warn

if TYPE_CHECKING:
    from histscan.plotting.curves import Curve

__all__ = ["as_options", "warn_of_log"]


def as_options(message: str) -> str:
    """Replaces the arguments of ``plot()`` that a message names by those of the command.

    Args:
        message: The message.
    """
    return message.replace("align='ffill'", "--align ffill").replace("log_y", "--log-y", 1)


def warn_of_log(is_log: bool, curves: Mapping[str, Sequence[Curve]]) -> None:
    """Warns of values that a logarithmic axis can't show.

    Args:
        is_log: True for a logarithmic axis.
        curves: The curves of each key.

    Raises:
        CurveError: A key has no other values.
    """
    from histscan.plotting.options import find_nonpositive

    for message in find_nonpositive(curves) if is_log else ():
        warn(as_options(message))
