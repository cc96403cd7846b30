"""``histscan plot``: plots keys of a run's history to a file."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import file_size, plural
from histscan.cli.messages import warn
from histscan.cli.run_argument import add_run, add_source, add_steps, open_run, scan
from histscan.common.atomic import atomic_output
from histscan.common.steps import STEP

if TYPE_CHECKING:
    from histscan.plotting.curves import Curve

__all__ = ["declare", "run"]

FORMATS = (".png", ".svg", ".pdf")
USUAL_SMOOTHING = 0.6
SMALLEST, LARGEST = 200, 10_000

DESCRIPTION = """\
Plot keys of a run's history: one line for each key, through the rows that have it.
NaN and infinities break the line and are marked at the edge of the plot. Every spike
stays visible, however many rows there are. Needs matplotlib and pyarrow, but no
display.
"""

EXAMPLES = """\
examples:
  histscan plot run-abc.wandb -k loss -o loss.png
  histscan plot run-abc.wandb -k loss -k validation.loss --smooth --log-y -o loss.svg
  histscan plot run-abc.wandb -k accuracy -x _runtime --min-step 1_000 -o late.pdf
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_run(parser)
    parser.add_argument(
        "-k",
        "--key",
        dest="keys",
        metavar="KEY",
        action="append",
        required=True,
        help="key to plot; repeat it for more keys. Nested keys are dotted (validation.loss)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="file to write, replaced if it exists: .png, .svg or .pdf",
    )
    parser.add_argument(
        "-x",
        metavar="KEY",
        default=STEP,
        help="key of the x axis: _step (the default), _runtime, _timestamp or any other key",
    )
    parser.add_argument(
        "--smooth",
        metavar="WEIGHT",
        type=smoothing,
        nargs="?",
        const=USUAL_SMOOTHING,
        help="plot moving averages as W&B's line plots do, over the faint logged values; WEIGHT is from 0 to below 1 "
        f"(default: {USUAL_SMOOTHING})",
    )
    parser.add_argument("--log-y", action="store_true", help="use a logarithmic y axis")
    add_steps(parser)
    add_source(parser)
    parser.add_argument("--title", metavar="TEXT", help="title of the plot (default: the run's name)")
    parser.add_argument(
        "--size",
        metavar="WIDTHxHEIGHT",
        type=size,
        default=(1500, 840),
        help="size in pixels (default: 1500x840); SVG and PDF have 150 pixels per inch",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show no summary")


def smoothing(text: str) -> float:
    """Parses the WEIGHT of --smooth.

    Args:
        text: The argument.

    Returns:
        The weight.

    Raises:
        argparse.ArgumentTypeError: The text is not a number from 0 to below 1.
    """
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a weight from 0 to below 1, such as {USUAL_SMOOTHING}")
    return weight


def size(text: str) -> tuple[int, int]:
    """Parses the argument of --size.

    Args:
        text: The argument, like ``1500x840``.

    Returns:
        Width and height, in pixels.

    Raises:
        argparse.ArgumentTypeError: The text is no size, or a side is too small or too large.
    """
    typed = re.fullmatch("([0-9]{1,6})x([0-9]{1,6})", text)
    if not typed or not all(SMALLEST <= int(side) <= LARGEST for side in typed.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1500x840, each {SMALLEST} to {LARGEST:,}")
    return int(typed[1]), int(typed[2])


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: A key can't be plotted, the file's suffix is unknown, or matplotlib is not installed.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    goal = Path(arguments.output)
    if goal.suffix.lower() not in FORMATS:
        raise UsageError(f"unknown picture format of {arguments.output!r}: end the name in {', '.join(FORMATS)}")
    try:
        import pyarrow  # noqa: F401

        from histscan.plotting.curves import CurveError, read_curves
        from histscan.plotting.drawing import Picture, draw, save
    except ImportError as error:
        raise UsageError(f"`histscan plot` needs {error.name}: pip install 'histscan[plot]'") from error
    opened = open_run(arguments)
    rows = scan(opened, None, arguments.min_step, arguments.max_step, source=arguments.source)
    try:
        curves = read_curves(rows, arguments.keys, arguments.x)
    except CurveError as error:
        raise UsageError(str(error)) from error
    if arguments.log_y:
        _check_log(curves)
    width, height = arguments.size
    picture = Picture(
        arguments.title or opened.name,
        x_key=arguments.x,
        smoothing=arguments.smooth,
        is_log=arguments.log_y,
        width=width,
        height=height,
    )
    figure = draw(curves, picture)
    with atomic_output(goal) as output:
        save(figure, output, goal.suffix.lower()[1:])
    if not arguments.quiet:
        print(_summary(curves, goal), file=sys.stdout)
    return SUCCEEDED


def _check_log(curves: list[Curve]) -> None:
    """Warns of values that a logarithmic axis can't show.

    Raises:
        UsageError: A curve has no other values.
    """
    for curve in curves:
        missing = int((curve.y <= 0).sum())
        if missing and not (curve.y > 0).any():
            raise UsageError(f"--log-y can't show {curve.key!r}: it has no positive value")
        if missing:
            warn(f"--log-y leaves out {plural(missing, 'value')} of {curve.key!r} at or below 0")


def _summary(curves: list[Curve], goal: Path) -> str:
    facts = [f"{curve.key} ({plural(len(curve.x), 'point')})" for curve in curves]
    if goal.is_file():
        facts.append(file_size(goal.stat().st_size))
    return f"{goal}: {', '.join(facts)}"
