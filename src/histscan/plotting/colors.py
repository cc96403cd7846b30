"""Colours of lines: a palette for things without an order, and a scale for numbers."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["COLORS", "OTHER", "RUN_COLORS", "scale_colors"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
"""Okabe and Ito's palette, distinguishable with any colour vision; without its yellow, too faint on white."""

RUN_COLORS = (*COLORS, "#882255", "#999933", "#332288", "#44AA99", "#A6611A")
"""The palette, and colours of Paul Tol's "muted" scheme for a few more lines."""

OTHER = "#B8B8B8"
"""The colour of lines that the legend does not name."""

# "viridis" of matplotlib without its ends: the yellow one is too faint on white.
_SCALE = "viridis"
_LOWEST, _HIGHEST = 0.02, 0.84


def scale_colors(shares: Sequence[float]) -> list[str]:
    """Returns colours of a scale that gets lighter evenly, also with any colour vision.

    Args:
        shares: Places on the scale, from 0 to 1.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps[_SCALE]
    return [to_hex(scale(_LOWEST + (_HIGHEST - _LOWEST) * share)) for share in shares]
