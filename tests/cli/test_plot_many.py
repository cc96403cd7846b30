"""`histscan plot` of many runs: lines, groups, bands, panels, legends and errors."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import histscan
from histscan.cli.exit_codes import MISUSED
from histscan.cli.main import main
from histscan.many.run_curves import read_run_curves
from histscan.plotting.curves import Curve
from histscan.plotting.drawing import save
from histscan.plotting.panels import PanelPicture, draw_panels, panel_size
from histscan.plotting.run_colors import choose_colors, shorten
from histscan.plotting.run_curves import RunCurve
from tests.support.paths import EXAMPLE
from tests.support.sweep_runs import write_run, write_sweep

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"), [0.001, 0.01, 0.1], 2)


def curves_of(count: int, groups: Sequence[Any] = (None,), key: str = "loss") -> dict[str, list[RunCurve]]:
    x = np.arange(20.0)
    return {
        key: [
            RunCurve(place, f"run {place}", groups[place % len(groups)], Curve(key, x, x * 0 + place))
            for place in range(count)
        ]
    }


def plot(*arguments: str | Path) -> int:
    return main(["plot", *map(str, arguments)])


def labels_of(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def bars_of(figure: Any) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"]


@pytest.mark.parametrize(("ending", "beginning"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_pictures(
    sweep: Path, ending: str, beginning: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for goal in goals:
        assert plot(sweep, "-k", "loss", "-k", "val/*", "--group-by", "config.lr", "--band", "std", "-o", goal) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(
        f"{goals[0]}: 6 runs, loss (360 points), val/accuracy (36 points), val/loss (36 points), "
    )
    assert goals[0].read_bytes().startswith(beginning)
    assert goals[0].read_bytes() == goals[1].read_bytes()


def test_a_line_for_each_run(sweep: Path) -> None:
    runs = histscan.open_runs(sweep)
    found = read_run_curves(runs, ["loss", "val/loss"])
    figure = draw_panels(found.by_key, PanelPicture("six"))
    for axes, key in zip(figure.axes, ["loss", "val/loss"], strict=True):
        assert axes.get_title(loc="left") == key
        assert axes.get_xlabel() == "step"
        for line, run in zip(axes.lines, runs, strict=True):
            rows = list(run.scan_history([key, "_step"]))
            assert list(line.get_xdata()) == [row["_step"] for row in rows]
            assert list(line.get_ydata()) == [row[key] for row in rows]
    assert labels_of(figure) == [run.name for run in runs]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 6


def test_legends_up_to_twelve_and_a_scale_beyond() -> None:
    twelve = draw_panels(curves_of(12), PanelPicture("twelve"))
    assert labels_of(twelve) == [f"run {place}" for place in range(12)]
    assert len({line.get_color() for line in twelve.axes[0].lines}) == 12
    many = draw_panels(curves_of(200), PanelPicture("many"))
    assert labels_of(many) == []
    assert bars_of(many) == ["run, in order"]
    (axes, _) = many.axes
    assert len(axes.lines) == 200
    assert all(line.get_alpha() < 0.5 and line.get_linewidth() < 1 for line in axes.lines)
    many.draw_without_rendering()
    assert many.get_tightbbox().x1 < 10


def test_groups_of_numbers() -> None:
    few = draw_panels(curves_of(60, [0.1, 0.001, 0.01]), PanelPicture("few", group_by="config.lr"))
    assert labels_of(few) == ["0.001 (20 runs)", "0.01 (20 runs)", "0.1 (20 runs)"]
    assert few.legends[0].get_title().get_text() == "config.lr"
    colors = {line.get_color() for line in few.axes[0].lines}
    assert len(colors) == 3
    rates = [10 ** (place / 5) for place in range(20)]
    many = draw_panels(curves_of(200, rates), PanelPicture("many", group_by="config.lr"))
    assert (labels_of(many), bars_of(many)) == ([], ["config.lr"])
    assert many.axes[1].get_yscale() == "log"
    whole = draw_panels(curves_of(200, range(30)), PanelPicture("seeds", group_by="config.seed"))
    many.draw_without_rendering()
    whole.draw_without_rendering()
    ticks = [text.get_text() for text in whole.axes[1].get_yticklabels()]
    assert all(tick.lstrip("\N{MINUS SIGN}").isdigit() for tick in ticks if tick)


def test_groups_of_names() -> None:
    names = [f"net{place:02}" for place in range(30)]
    figure = draw_panels(curves_of(95, names), PanelPicture("nets", group_by="config.net"))
    labels = labels_of(figure)
    assert len(labels) == 12
    assert labels[:2] == ["net00 (4 runs)", "net01 (4 runs)"]
    assert labels[-1].startswith("19 others (")
    with_none = choose_colors(curves_of(6, ["adam", None, "sgd"])["loss"], "config.optimizer")
    assert [entry.label for entry in with_none.entries] == ["adam (2 runs)", "sgd (2 runs)", "none (2 runs)"]
    bools = choose_colors(curves_of(4, [True, False])["loss"], "config.amp")
    assert [entry.label for entry in bools.entries] == ["False (2 runs)", "True (2 runs)"]


@pytest.mark.parametrize("band", ["std", "minmax", "ci95"])
def test_bands(band: str) -> None:
    groups = curves_of(9, ["a", "b", "c"])
    figure = draw_panels(groups, PanelPicture("bands", group_by="group", band=band, buckets=20))
    (axes,) = figure.axes
    assert labels_of(figure) == ["a (3 runs)", "b (3 runs)", "c (3 runs)"]
    width = {"std": 3.0, "minmax": 3.0, "ci95": 1.96 * 3 / math.sqrt(3)}[band]
    for place, (line, area) in enumerate(zip(axes.lines, axes.collections, strict=True)):
        np.testing.assert_allclose(line.get_ydata(), place + 3)
        heights = area.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == (
            pytest.approx(place + 3 - width),
            pytest.approx(place + 3 + width),
        )


def test_a_band_of_all_runs_needs_no_legend() -> None:
    figure = draw_panels(curves_of(5), PanelPicture("all", band="std"))
    assert labels_of(figure) == []
    assert [text.get_text() for text in figure.axes[0].texts] == ["mean ± standard deviation of 5 runs"]


def test_bands_on_a_logarithmic_axis_keep_to_the_values(tmp_path: Path) -> None:
    groups = curves_of(4)
    figure = draw_panels(groups, PanelPicture("log", band="std", is_log=True))
    low, high = figure.axes[0].get_ylim()
    assert 0.5 < low < 1
    assert 3 < high < 4


def test_panels_and_sizes() -> None:
    for panels in (1, 2, 7):
        by_key = {f"key{place}": curves_of(3)["loss"] for place in range(panels)}
        width, height = panel_size(panels)
        figure = draw_panels(by_key, PanelPicture("panels", x_key="_runtime", width=width, height=height))
        shown = [axes for axes in figure.axes if axes.axison]
        assert len(shown) == panels
        assert shown[-1].get_xlabel() == "runtime (seconds)"
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        assert box.x0 >= 0
        assert box.x1 <= width / 150
        columns = len({round(axes.get_position().x0, 3) for axes in shown})
        assert sum(axes.get_xlabel() != "" for axes in shown) == columns


def test_nan_and_infinities_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        rows = [{"x": NAN if step == 5 and number else INF if step == 7 else step} for step in range(10)]
        write_run(tmp_path, f"r{number}", rows, start=number)
    found = read_run_curves(histscan.open_runs(tmp_path), ["x"])
    (axes,) = draw_panels(found.by_key, PanelPicture("gaps")).axes
    marks = [
        (line.get_marker(), list(line.get_xdata())) for line in axes.lines if line.get_transform() != axes.transData
    ]
    assert marks == [("^", [7]), ("|", [5]), ("^", [7])]
    assert np.isnan(axes.lines[0].get_ydata()[7])
    assert plot(tmp_path, "-k", "x", "-o", tmp_path / "x.png") == 0
    assert "x (20 points, 2 runs with NaN or infinite values)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("align", "expected"),
    [
        (None, []),
        ("outer", [(1.0, 12.0)]),
        ("ffill", [(1.0, 11.0), (1.0, 12.0), (1.0, 13.0), (2.0, 15.0)]),
        ("interpolate", [(1.0, 11.0), (1.0, 12.0), (1.5, 13.0)]),
    ],
)
def test_alignment(align: str | None, expected: list[tuple[float, float]], tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"_step": 0, "y": 10},
        {"_step": 1, "epoch": 1},
        {"_step": 1, "y": 11},
        {"_step": 2, "y": 12},
        {"_step": 2, "epoch": 1},
        {"_step": 3, "y": 13},
        {"_step": 4, "epoch": 2},
        {"_step": 5, "y": 15},
    ]
    if align == "outer":
        rows = [row for row in rows if row.get("y") != 11]
    if align is None:
        rows = [*rows, {"_step": 9, "y": 19, "epoch": 3}]
        expected = [(3.0, 19.0)]
    write_run(tmp_path, "a", rows)
    (run,) = read_run_curves(histscan.open_runs(tmp_path), ["y"], "epoch", align=align).by_key["y"]
    assert list(zip(run.curve.x.tolist(), run.curve.y.tolist(), strict=True)) == expected


def test_alignment_never_crosses_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [{"epoch": 7}, {"y": 1}], start=1)
    write_run(tmp_path, "b", [{"y": 2}, {"epoch": 8}], start=2)
    curves = read_run_curves(histscan.open_runs(tmp_path), ["y"], "epoch", align="ffill").by_key["y"]
    assert [(run.place, run.curve.x.tolist(), run.curve.y.tolist()) for run in curves] == [(0, [7], [1])]


def test_align_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_run(tmp_path, "a", [{"epoch": 1}, {"y": 2}])
    goal = tmp_path / "y.svg"
    assert plot(log, "-k", "y", "--x", "epoch", "-o", goal) == MISUSED
    assert "no row with 'y' has a finite 'epoch'" in capsys.readouterr().err
    assert plot(log, "-k", "y", "--x", "epoch", "--align", "ffill", "-o", goal) == 0
    assert ElementTree.parse(goal).getroot().tag.endswith("svg")


def test_names_are_unique_and_not_markup(tmp_path: Path) -> None:
    for number in range(2):
        write_run(tmp_path, f"r{number}", [{"y": 1}, {"y": 2}], name="$x^2$ \x1b[31m", start=number)
    found = read_run_curves(histscan.open_runs(tmp_path), ["y"])
    figure = draw_panels(found.by_key, PanelPicture("$t$"))
    assert labels_of(figure) == [f"$x^2$ \N{REPLACEMENT CHARACTER}[31m (r{number})" for number in range(2)]
    with (tmp_path / "names.png").open("wb") as output:
        save(figure, output, "png")


def test_long_names_lose_what_they_share() -> None:
    names = [f"resnet50-imagenet-adam-cosine-lr{rate}-seed1" for rate in ("0.1", "0.01")]
    assert shorten(names, 34) == ["…lr0.1-seed1", "…lr0.01-seed1"]
    assert shorten(["a", "b"], 34) == ["a", "b"]
    assert shorten(["x" * 50, "y" * 50], 34) == ["x" * 50, "y" * 50]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-k", "los"], ["no run has 'los'", "did you mean loss"]),
        (["-k", "test/*"], ["no run has 'test/*'", "the keys are"]),
        (["-k", "loss", "--group-by", "lr"], ["no field 'lr'", "config.lr"]),
        (["-k", "loss", "--group-by", "config.rate"], ["no run has 'config.rate'", "config.lr"]),
        (["-k", "loss", "--group-by", "job_type"], ["no run has a value of 'job_type'"]),
        (["-k", "loss", "--filter", '{"state": "running"}'], ["no runs to plot"]),
        (["-k", "loss", "-x", "los"], ["no run has 'los'"]),
        (["-k", "loss", "--band", "iqr"], ["--band", "minmax"]),
        (["-k", "loss", "--buckets", "1"], ["--buckets"]),
        (["-k", "loss", "--source", "pages"], ["--source applies to one run"]),
        (["-k", "loss", "--min-step", "5", "--max-step", "5"], ["--max-step must be higher"]),
        (["-k", "loss", "--min-step", "500"], ["no rows"]),
    ],
)
def test_errors(
    sweep: Path, arguments: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(sweep, *arguments, "-o", tmp_path / "x.png") == MISUSED
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    for word in words:
        assert word in told.err
    assert list(tmp_path.iterdir()) == []


def test_options_of_many_runs_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(EXAMPLE, "-k", "loss", "--band", "std", "-o", tmp_path / "x.png") == MISUSED
    assert "apply to many runs" in capsys.readouterr().err


def test_patterns_choose_numeric_keys_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(EXAMPLE, "-k", "no*", "-o", tmp_path / "x.png") == MISUSED
    assert "no key that matches 'no*' is numeric" in capsys.readouterr().err
    assert plot(EXAMPLE, "-k", "turns/*", "-o", tmp_path / "x.png") == 0
    assert "turns/error (5,000 points), turns/points (5,000 points)" in capsys.readouterr().out
