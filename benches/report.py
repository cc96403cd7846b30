"""Write an HTML page and charts of measured numbers.

Run it from the project's root. Without a file of numbers, everything that `make bench` measures is measured first:

    python -m benches report
    python -m benches --json numbers.json && python -m benches report numbers.json -o build/report
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

__all__ = ["REPORT", "main", "write_report"]

REPORT = "report"
"""The name on the command line."""

_FOLDER = Path("build") / "report"

# Readable for people who confuse red and green, on white and on black.
_OURS = "#2f81c3"
_BELOW = "#c8662b"
_INK = "#7a7f87"

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1e21; background: #fff; }
h1, h2 { line-height: 1.2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.75rem; text-align: right; border-bottom: 1px solid #8883; white-space: nowrap; }
th:first-child, td.text { text-align: left; }
.below { color: #b3541e; font-weight: 600; }
img { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #e3e5e8; background: #16181c; } .below { color: #e88d5a; } }
"""


def main(arguments: Sequence[str], measure: Callable[[Path], int]) -> int:
    """Writes the report.

    Args:
        arguments: The command line after the name.
        measure: Measures everything, and writes the numbers to a file; returns an exit code.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benches {REPORT}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="?", type=Path, help="what --json has written; without it, measure first")
    parser.add_argument("-o", "--output", type=Path, default=_FOLDER, metavar="FOLDER", help="default: %(default)s")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    numbers = options.numbers
    if numbers is None:
        numbers = options.output / "numbers.json"
        code = measure(numbers)
        if code:
            return code
    page = write_report(json.loads(numbers.read_bytes()), options.output)
    print(page, file=sys.stderr)
    return 0


def write_report(numbers: dict[str, Any], folder: Path) -> Path:
    """Writes ``index.html``, ``cases.svg`` and one ``shapes-….svg`` for each encoding.

    Args:
        numbers: The numbers, as ``--json`` writes them.
        folder: Where to write.

    Returns:
        The path of the page.
    """
    parts = [f"<p>{html.escape(_machine(numbers['machine']))} {date.today().isoformat()}.</p>"]
    if numbers["cases"]:
        parts += ["<h2>Against other ways of reading the same rows</h2>", _case_table(numbers["cases"])]
        parts.append(_picture(_draw_cases(numbers["cases"]), folder / "cases.svg", "Ratios of all cases"))
    if numbers["shapes"]:
        parts += ["<h2>Every shape of row in every encoding</h2>", _shape_table(numbers["shapes"])]
        for encoding in dict.fromkeys(outcome["encoding"] for outcome in numbers["shapes"]):
            outcomes = [outcome for outcome in numbers["shapes"] if outcome["encoding"] == encoding]
            path = folder / f"shapes-{encoding.replace(' ', '-')}.svg"
            parts.append(_picture(_draw_shapes(encoding, outcomes), path, f"Ratios of shapes: {encoding}"))
    page = folder / "index.html"
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>histscan, measured</title><style>{_STYLE}</style><h1>histscan, measured</h1>{''.join(parts)}</html>\n",
        encoding="utf-8",
    )
    return page


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    return f"{where}, Python {machine['python']}; {versions}."


def _table(headings: Sequence[str], rows: Sequence[Sequence[tuple[str, bool]]]) -> str:
    """Formats a table; a cell is its text and whether it is below its minimum."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{_class_of(text, below)}">{html.escape(text)}</td>' for text, below in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _class_of(text: str, is_below: bool) -> str:
    if is_below:
        return "below"
    return "number" if text[:1].isdigit() else "text"


def _case_table(cases: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            (case["name"], False),
            (case["subject"], False),
            (case["peer"], False),
            (f"{case['peer_seconds'] * 1e3:,.2f}", False),
            (f"{case['our_seconds'] * 1e3:,.2f}", False),
            (f"{case['ratio']:.2f}x", case["is_below_floor"]),
            ("" if case["floor"] is None else f"{case['floor']:.2f}x", False),
        ]
        for case in cases
    ]
    return _table(["case", "what", "peer", "peer, ms", "histscan, ms", "ratio", "at least"], rows)


def _shape_table(outcomes: Sequence[dict[str, Any]]) -> str:
    encodings = list(dict.fromkeys(outcome["encoding"] for outcome in outcomes))
    by_shape: dict[str, dict[str, dict[str, Any]]] = {}
    for outcome in outcomes:
        by_shape.setdefault(outcome["shape"], {})[outcome["encoding"]] = outcome
    rows = [
        [(shape, False), *(_ratio_cell(cells.get(encoding)) for encoding in encodings)]
        for shape, cells in by_shape.items()
    ]
    return _table(["rows", *encodings], rows)


def _ratio_cell(outcome: dict[str, Any] | None) -> tuple[str, bool]:
    if outcome is None or outcome["ratio"] is None:
        return "-", False
    return f"{outcome['ratio']:.2f}x", outcome["is_below_floor"]


def _picture(figure: Figure, path: Path, text: str) -> str:
    # Text stays text: a tenth of the size, and readable by search.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "histscan"}):
        figure.savefig(path, transparent=True, metadata={"Date": None})
    return f'<p><img src="{html.escape(path.name)}" alt="{html.escape(text)}"></p>'


def _draw_cases(cases: Sequence[dict[str, Any]]) -> Figure:
    bars = [(f"{case['name']} · {case['peer']}", case["ratio"], case["is_below_floor"]) for case in cases]
    return _draw_bars(bars, "times as fast as the peer")


def _draw_shapes(encoding: str, outcomes: Sequence[dict[str, Any]]) -> Figure:
    bars = [
        (f"{outcome['shape']} · {outcome['fastest']}", outcome["ratio"], outcome["is_below_floor"])
        for outcome in outcomes
        if outcome["ratio"] is not None
    ]
    return _draw_bars(bars, f"{encoding}: times as fast as the fastest peer")


def _draw_bars(bars: Sequence[tuple[str, float, bool]], label: str) -> Figure:
    """Draws horizontal bars on a logarithmic axis that starts where both are equally fast."""
    figure = Figure(figsize=(8.0, 0.6 + 0.24 * len(bars)), layout="constrained")
    axes: Axes = figure.subplots()
    places = range(len(bars))
    ratios = [ratio for _, ratio, _ in bars]
    axes.barh(places, [ratio - 1.0 for ratio in ratios], left=1.0, color=[_BELOW if b else _OURS for *_, b in bars])
    axes.set_xscale("log")
    axes.set_xlim(min(0.9, *ratios) * 0.8, max(2.0, *ratios) * 1.5)
    axes.axvline(1.0, color=_INK, linewidth=1.0)
    axes.set_yticks(places, [name for name, *_ in bars], fontsize=8, color=_INK)
    axes.invert_yaxis()
    axes.set_xlabel(label, color=_INK)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(colors=_INK)
    for place, ratio in zip(places, ratios, strict=True):
        axes.annotate(
            f"{ratio:.3g}x",
            (max(ratio, 1.0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)
    return figure
