"""``histscan plot``: curves of a run's history as a picture."""

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
Draw curves of a run's history: a line for each key, through the rows that have it.
NaN and infinities break the line and are marked at the edge of the picture. However
many rows there are, every spike stays visible. Needs matplotlib and pyarrow, but no
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
        help="a key to draw; repeat it for more. Nested keys are dotted (validation.loss)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="the picture to write, which is replaced if it exists: .png, .svg or .pdf",
    )
    parser.add_argument(
        "-x",
        metavar="KEY",
        default=STEP,
        help="what to draw to the right: _step (the default), _runtime, _timestamp or any other key",
    )
    parser.add_argument(
        "--smooth",
        metavar="WEIGHT",
        type=smoothing,
        nargs="?",
        const=USUAL_SMOOTHING,
        help="draw moving averages as W&B's line plots do, over the faint logged values; from 0 to below 1 (default: "
        f"{USUAL_SMOOTHING})",
    )
    parser.add_argument("--log-y", action="store_true", help="a logarithmic axis of values")
    add_steps(parser)
    add_source(parser)
    parser.add_argument("--title", metavar="TEXT", help="what stands above the curves (default: the run's name)")
    parser.add_argument(
        "--size",
        metavar="WIDTHxHEIGHT",
        type=size,
        default=(1500, 840),
        help="in pixels (default: 1500x840); 150 make an inch of an SVG or PDF",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show no summary")


def smoothing(text: str) -> float:
    """Reads a weight from the command line.

    Args:
        text: What was typed.

    Returns:
        The weight.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a weight from 0 to below 1, such as {USUAL_SMOOTHING}")
    return weight


def size(text: str) -> tuple[int, int]:
    """Reads a width and a height from the command line.

    Args:
        text: What was typed; ``1500x840``.

    Returns:
        Both, in pixels.

    Raises:
        argparse.ArgumentTypeError: They are none, or too small or large for a picture.
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
        UsageError: A key can't be drawn, the file's name is not that of a picture, or matplotlib is not installed.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    goal = Path(arguments.output)
    if goal.suffix.lower() not in FORMATS:
        raise UsageError(f"{arguments.output!r} is not the name of a picture: let it end in {', '.join(FORMATS)}")
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
    """Says what a logarithmic axis has no place for."""
    for curve in curves:
        missing = int((curve.y <= 0).sum())
        if missing and not (curve.y > 0).any():
            raise UsageError(f"{curve.key!r} has no positive value, which --log-y could draw")
        if missing:
            warn(f"{plural(missing, 'value')} of {curve.key!r} not positive, and missing with --log-y")


def _summary(curves: list[Curve], goal: Path) -> str:
    facts = [f"{curve.key} ({plural(len(curve.x), 'point')})" for curve in curves]
    if goal.is_file():
        facts.append(file_size(goal.stat().st_size))
    return f"{goal}: {', '.join(facts)}"
