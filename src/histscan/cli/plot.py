"""``histscan plot``: plots keys of the histories of one run or many to a file."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import file_size, plural
from histscan.cli.plot_messages import as_options, warn_of_log
from histscan.cli.run_argument import add_source, add_steps, count, scan
from histscan.cli.runs_argument import add_choice, add_paths, add_skip_failed, open_one_or_many
from histscan.common.atomic import atomic_output
from histscan.common.install_hint import install_hint
from histscan.common.printable import printable
from histscan.common.steps import STEP
from histscan.many.runs import Runs
from histscan.runs.plots import read_plotted, require_plotting

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["declare", "run"]

FORMATS = (".png", ".svg", ".pdf")
USUAL_SMOOTHING = 0.6
SMALLEST, LARGEST = 200, 10_000

DESCRIPTION = """\
Plot keys of a run's history: one line for each key, through the rows that have it. Keys
of very different scale have panels of their own.
NaN and infinities break the line and are marked at the edge of the plot. Every spike
stays visible, however many rows there are. Needs matplotlib and pyarrow, but no
display.

Of many runs (a folder, a pattern, a project, or several paths), plot one line for each
run, and a panel for each key. Up to 12 runs are named in a legend; more have the colours
of a scale. --group-by colours the runs by a field, and --band draws the mean of each
group instead of its runs, with a band around it.
"""

EXAMPLES = """\
examples:
  histscan plot run-abc.wandb -k loss -o loss.png
  histscan plot run-abc.wandb -k loss -k validation.loss --smooth --log-y -o loss.svg
  histscan plot run-abc.wandb -k accuracy -x _runtime --min-step 1_000 -o late.pdf
  histscan plot wandb/ -k loss -k 'val/*' -o runs.png
  histscan plot my-team/my-project -k loss --group-by config.lr --band std -o seeds.pdf
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser)
    parser.add_argument(
        "-k",
        "--key",
        dest="keys",
        metavar="KEY",
        action="append",
        required=True,
        help="key to plot; repeat it for more keys. Nested keys are dotted (validation.loss). A quoted pattern such as "
        "'val/*' chooses all numeric keys that match it",
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
        "--x",
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
    parser.add_argument(
        "--panels",
        choices=("auto", "one", "each"),
        default="auto",
        help="of one run: give keys of very different scale panels of their own (auto, the default), have all keys in "
        "one panel (one), or a panel for each key (each); many runs have a panel for each key",
    )
    parser.add_argument(
        "--align",
        choices=("outer", "ffill", "interpolate"),
        help="how a row gets its x if it was logged without it: from another row of the same step (outer), the last "
        "one before it (ffill), or interpolated between those before and after it (default: such rows are left out)",
    )
    parser.add_argument(
        "--group-by",
        metavar="FIELD",
        help="give runs with the same value of this field the same colour: config.lr, group, job_type, state, …",
    )
    parser.add_argument(
        "--band",
        choices=("std", "minmax", "ci95"),
        help="plot the mean of each group (without --group-by, of all runs), and around it the standard deviation of "
        "its runs, their minimum and maximum, or the 95 %% confidence interval of the mean",
    )
    parser.add_argument(
        "--buckets",
        metavar="N",
        type=_buckets,
        default=200,
        help="places along the x axis at which --band compares the runs (default: 200)",
    )
    add_choice(parser)
    add_skip_failed(parser)
    add_steps(parser)
    add_source(parser)
    parser.add_argument("--title", metavar="TEXT", help="title of the plot (default: the name of the run or project)")
    parser.add_argument(
        "--size",
        metavar="WIDTHxHEIGHT",
        type=size,
        help="size in pixels (default: 1500x840, or larger for several panels); SVG and PDF have 150 pixels per inch",
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


def _buckets(text: str) -> int:
    number = count(text)
    if not 2 <= number <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 2 to {LARGEST:,}")
    return number


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
    if arguments.max_step is not None and arguments.max_step <= arguments.min_step:
        raise UsageError(
            f"--max-step must be higher than --min-step, but they are {arguments.max_step} and {arguments.min_step}"
        )
    try:
        require_plotting()
    except ImportError as error:
        raise UsageError(f"`histscan plot` needs {error.name}: {install_hint('plot')}") from error
    # matplotlib logs missing fonts and folders, which does not matter here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from histscan.plotting.drawing import save
    from histscan.plotting.number_columns import CurveError

    opened = open_one_or_many(arguments)
    try:
        if isinstance(opened, Runs):
            from histscan.cli.plot_many import plot_many

            figure, summary = plot_many(opened, arguments)
        else:
            figure, summary = _plot_one(opened, arguments)
    except CurveError as error:
        raise UsageError(as_options(str(error))) from error
    with atomic_output(goal) as output:
        save(figure, output, goal.suffix.lower()[1:])
    if not arguments.quiet:
        size = f", {file_size(goal.stat().st_size)}" if goal.is_file() else ""
        print(f"{printable(f'{goal}: {summary}')}{size}", file=sys.stdout)
    return SUCCEEDED


def _plot_one(opened: Run, arguments: argparse.Namespace) -> tuple[Any, str]:
    """Draws the curves of one run; returns the figure, and a summary of what it shows."""
    from histscan.plotting.drawing import Picture, draw

    if arguments.group_by is not None or arguments.band is not None:
        raise UsageError("--group-by and --band apply to many runs: leave them out, or pass a folder of runs")
    rows = scan(opened, None, arguments.min_step, arguments.max_step, source=arguments.source)
    curves = read_plotted(opened, rows, arguments.keys, arguments.x, arguments.align)
    warn_of_log(arguments.log_y, {curve.key: [curve] for curve in curves})
    width, height = arguments.size or (None, None)
    picture = Picture(
        arguments.title or opened.name,
        x_key=arguments.x,
        smoothing=arguments.smooth,
        is_log=arguments.log_y,
        panels=arguments.panels,
        width=width,
        height=height,
    )
    return draw(curves, picture), ", ".join(f"{curve.key} ({plural(len(curve.x), 'point')})" for curve in curves)
