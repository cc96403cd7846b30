"""`histscan plot`: lines, gaps, marks, options and errors."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import histscan
from histscan.cli.exit_codes import FAILED, MISUSED
from histscan.cli.main import build_parser, main
from histscan.plotting.curves import Curve, read_curves
from histscan.plotting.drawing import Picture, draw, save
from tests.support import wire
from tests.support.extras import install_command
from tests.support.log_samples import write_run
from tests.support.paths import EXAMPLE

NAN, INF = math.nan, math.inf


def plot(*arguments: str | Path) -> int:
    return main(["plot", *map(str, arguments)])


def curve_of(key: str, y: list[float]) -> Curve:
    return Curve(key, np.arange(len(y), dtype=np.float64), np.array(y, dtype=np.float64))


def lines_of(figure: Any) -> list[tuple[list[float], list[float]]]:
    """Returns the points of each curve's line, without the marks at the edge."""
    (axes,) = figure.axes
    drawn = [line for line in axes.lines if line.get_transform() == axes.transData]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in drawn]


def marks_of(figure: Any) -> list[tuple[str, list[float]]]:
    """Returns the symbols and the x positions of the marks at the edge."""
    (axes,) = figure.axes
    drawn = [line for line in axes.lines if line.get_transform() != axes.transData]
    return [(line.get_marker(), list(line.get_xdata())) for line in drawn]


def labels_of(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(("ending", "beginning"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("PDF", b"%PDF-")])
def test_pictures(ending: str, beginning: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / f"loss.{ending}"
    assert plot(EXAMPLE, "-k", "loss", "-k", "validation.loss", "--smooth", "-o", goal) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"{goal}: loss (5,000 points), validation.loss (100 points), ")
    assert goal.read_bytes().startswith(beginning)
    assert os.listdir(tmp_path) == [goal.name]
    again = tmp_path / f"again.{ending}"
    assert plot(EXAMPLE, "-k", "loss", "-k", "validation.loss", "--smooth", "-o", again, "-q") == 0
    assert again.read_bytes() == goal.read_bytes()
    assert capsys.readouterr().out == ""


def test_size_of_a_picture(tmp_path: Path) -> None:
    goal = tmp_path / "loss.png"
    assert plot(EXAMPLE, "-k", "loss", "-o", goal, "--size", "640x480") == 0
    content = goal.read_bytes()
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (640, 480)


def test_plots_without_a_display_and_ignores_user_settings(tmp_path: Path) -> None:
    settings = tmp_path / "matplotlibrc"
    settings.write_text("backend: TkAgg\ntext.usetex: True\nfigure.figsize: 1, 1\n")
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    environment |= {"MATPLOTLIBRC": str(settings), "MPLCONFIGDIR": "/proc/none"}
    goals = [tmp_path / "theirs.png", tmp_path / "ours.png"]
    finished = subprocess.run(
        [sys.executable, "-m", "histscan", "plot", str(EXAMPLE), "-k", "loss", "-o", str(goals[0])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert plot(EXAMPLE, "-k", "loss", "-o", goals[1]) == 0
    assert goals[0].read_bytes() == goals[1].read_bytes()


def test_nan_breaks_the_line_and_is_marked() -> None:
    figure = draw([curve_of("a", [1, 2, NAN, 3, INF, -INF, 4])], Picture("run"))
    ((x, y),) = lines_of(figure)
    assert x == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(y, [1, 2, NAN, 3, NAN, NAN, 4])
    assert marks_of(figure) == [("|", [2]), ("^", [4]), ("v", [5])]
    assert labels_of(figure) == ["a", "NaN (1)", "Infinity (1)", "-Infinity (1)"]


def test_gaps_of_the_example_are_marked(tmp_path: Path) -> None:
    goal = tmp_path / "turns.svg"
    assert plot(EXAMPLE, "-k", "turns/error", "-o", goal) == 0
    name = "{http://www.w3.org/2000/svg}path"
    longest = max((path.get("d", "") for path in ElementTree.parse(goal).iter(name)), key=len)
    errors = [row["turns/error"] for row in histscan.open(EXAMPLE).scan_history()]
    pieces = sum(not math.isnan(now) and math.isnan(then) for then, now in zip([NAN, *errors], errors, strict=False))
    # Each gap starts a new piece of the line; pieces of one point are dots.
    assert longest.count("M") == pytest.approx(pieces, rel=0.3)
    assert longest.count("L") > 3000


def test_lone_points_are_dots() -> None:
    y = [1.0, NAN, *([2.0] * 150), NAN, 3.0]
    lines = lines_of(draw([curve_of("a", y)], Picture("run")))
    assert lines[1] == ([0, 153], [1, 3])


def test_sparse_keys_are_lines_with_markers() -> None:
    run = histscan.open(EXAMPLE)
    figure = draw(read_curves(run.scan_history(), ["loss", "validation.loss"]), Picture(run.name))
    (axes,) = figure.axes
    assert [line.get_marker() for line in axes.lines] == ["", "o"]
    assert [len(x) for x, _ in lines_of(figure)] == [5000, 100]
    assert not np.isnan(axes.lines[1].get_ydata()).any()
    assert labels_of(figure) == ["loss", "validation.loss"]
    assert axes.get_title(loc="left") == "lissajous regression"
    assert axes.get_xlabel() == "step"


def test_smoothed_curve_covers_the_faint_raw_curve() -> None:
    figure: Any = draw([curve_of("a", [0, 1] * 100)], Picture("run", smoothing=0.9))
    (axes,) = figure.axes
    raw, smoothed = axes.lines
    assert (raw.get_alpha(), smoothed.get_alpha()) == (0.28, None)
    assert raw.get_color() == smoothed.get_color()
    assert np.ptp(raw.get_ydata()) == 1
    assert np.ptp(smoothed.get_ydata()[50:]) < 0.5
    assert "weight 0.9" in axes.texts[0].get_text()


def test_many_points_are_thinned_out() -> None:
    y = np.sin(np.arange(1_000_000) / 1e4)
    y[123_456] = 50
    figure = draw([Curve("a", np.arange(1e6), y)], Picture("run", width=800))
    ((x, drawn),) = lines_of(figure)
    assert len(x) <= 4 * 800
    assert max(drawn) == 50


def test_marks_do_not_overlap_curves() -> None:
    figure: Any = draw([curve_of("a", [0, 1, NAN]), curve_of("b", [0, NAN, 5, INF])], Picture("run"))
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    heights = [low + line.get_ydata()[0] * (high - low) for line in axes.lines if line.get_marker() in "|^"]
    assert heights[0] < heights[1] < 0
    assert heights[2] > 5


def test_colors_and_dashes_differ() -> None:
    figure = draw([curve_of(f"k{index}", [index, 1]) for index in range(20)], Picture("run", panels="one"))
    (axes,) = figure.axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 20


@pytest.mark.parametrize(
    ("x_key", "last", "label", "shown"),
    [
        ("_runtime", 60, "runtime (seconds)", 60),
        ("_runtime", 600, "runtime (minutes)", 10),
        ("_runtime", 36_000, "runtime (hours)", 10),
        ("_timestamp", 864_000, "time (UTC)", 10),
        ("examples", 50, "examples", 50),
    ],
)
def test_x_axis(x_key: str, last: float, label: str, shown: float) -> None:
    figure = draw([Curve("a", np.array([0.0, last]), np.array([1.0, 2.0]))], Picture("run", x_key=x_key))
    (axes,) = figure.axes
    assert axes.get_xlabel() == label
    assert lines_of(figure)[0][0] == [0, shown]


def test_names_are_not_parsed_as_markup(tmp_path: Path) -> None:
    name = "_private $\\frac{1}$ \n" + "long" * 40
    picture = Picture("$x^2$ \x1b[31m", is_log=True)
    figure = draw([curve_of(name, [1, 2]), curve_of("_b", [1, NAN])], picture)
    with (tmp_path / "names.png").open("wb") as output:
        save(figure, output, "png")
    assert labels_of(figure)[0].startswith("_private $\\frac{1}$ \N{REPLACEMENT CHARACTER}long")
    assert labels_of(figure)[0].endswith("…")
    assert labels_of(figure)[1] == "_b"
    assert figure.axes[0].get_title(loc="left") == "$x^2$ \N{REPLACEMENT CHARACTER}[31m"


def test_nothing_is_clipped() -> None:
    run = histscan.open(EXAMPLE)
    keys = ["loss", "turns/error", "validation.previous_best"]
    figure = draw(read_curves(run.scan_history(), keys), Picture("A title of a run " * 3))
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    assert (drawn.x0 > 0, drawn.y0 > 0) == (True, True)
    assert (drawn.x1 < 10, drawn.y1 < 5.6) == (True, True)


def test_logarithmic_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"_step": step, "a": value, "b": -value} for step, value in enumerate([0, 10, 1000])]
    records = [wire.history_record([(key, json.dumps(row[key])) for key in row], row["_step"]) for row in rows]
    log = write_run(tmp_path / "run-a.wandb", records)
    goal = tmp_path / "a.png"
    assert plot(log, "-k", "a", "--log-y", "-o", goal) == 0
    assert capsys.readouterr().err == "histscan: warning: --log-y leaves out 1 value of 'a' at or below 0\n"
    assert plot(log, "-k", "b", "--log-y", "-o", tmp_path / "b.png") == MISUSED
    assert "can't show 'b': it has no positive value" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["a.png", "run-a.wandb"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-k", "los", "-o", "x.png"], ["'los'", "did you mean loss?"]),
        (["-k", "note", "-o", "x.png"], ["'note' is not numeric"]),
        (["-k", "loss", "-x", "note", "-o", "x.png"], ["'note' is not numeric"]),
        (["-k", "loss", "-o", "x.jpg"], ["'x.jpg'", ".png, .svg, .pdf"]),
        (["-o", "x.png"], ["-k/--key"]),
        (["-k", "loss"], ["-o/--output"]),
        (["-k", "loss", "-o", "x.png", "--smooth", "1"], ["--smooth", "'1'"]),
        (["-k", "loss", "-o", "x.png", "--smooth", "nan"], ["--smooth", "'nan'"]),
        (["-k", "loss", "-o", "x.png", "--size", "10x10"], ["--size", "200"]),
        (["-k", "loss", "-o", "x.png", "--size", "big"], ["--size", "1500x840"]),
        (["-k", "loss", "-o", "x.png", "--min-step", "9000"], ["no rows"]),
    ],
)
def test_invalid_command_line(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plot(EXAMPLE, *arguments) == MISUSED
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("histscan: error: ")
    assert told.err.count("\n") == 1
    for word in words:
        assert word in told.err
    assert os.listdir(tmp_path) == []


def test_unreadable_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(tmp_path / "none.wandb", "-k", "loss", "-o", tmp_path / "x.png") == FAILED
    assert "no file or folder" in capsys.readouterr().err
    content = bytearray(EXAMPLE.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log = tmp_path / "damaged.wandb"
    log.write_bytes(content)
    assert plot(log, "-k", "loss", "-o", tmp_path / "x.png") == FAILED
    assert "--skip-corrupt" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["damaged.wandb"]
    assert plot(log, "-k", "loss", "-o", tmp_path / "x.png", "--skip-corrupt") == 0
    assert "corrupt part was skipped" in capsys.readouterr().err
    assert plot(EXAMPLE, "-k", "loss", "-o", tmp_path / "no folder" / "x.png") == FAILED


@pytest.mark.parametrize("missing", ["matplotlib", "pyarrow"])
def test_missing_package(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("histscan.plotting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert plot(EXAMPLE, "-k", "loss", "-o", tmp_path / "x.png") == MISUSED
    assert capsys.readouterr().err == (f"histscan: error: `histscan plot` needs {missing}: {install_command('plot')}\n")


def test_examples_in_the_help_parse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plot", "--help"])
    shown = capsys.readouterr().out
    examples = [line.split()[1:] for line in shown.splitlines() if line.startswith("  histscan ")]
    assert len(examples) == 5
    for example in examples:
        assert len(build_parser().parse_args(example).paths) == 1


def test_plot_of_an_exported_file(tmp_path: Path) -> None:
    exported = tmp_path / "history.parquet"
    assert main(["export", str(EXAMPLE), "-o", str(exported), "-q"]) == 0
    pictures = [tmp_path / "log.svg", tmp_path / "parquet.svg"]
    for source, goal in zip((EXAMPLE, exported), pictures, strict=True):
        assert plot(source, "-k", "loss", "-k", "validation.loss", "-o", goal) == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
