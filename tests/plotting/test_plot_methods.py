"""`run.plot` and `runs.plot`: the pictures of `histscan plot`, as figures that belong to nobody else."""

from __future__ import annotations

import io
import json
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
import pytest

import histscan
from histscan.cli.main import main
from histscan.plotting.axes import NumberFormatter
from histscan.plotting.curves import Curve
from histscan.plotting.drawing import save
from histscan.plotting.scales import panels_of, shared_label
from tests.support.extras import install_command
from tests.support.many_runs import write_log
from tests.support.paths import EXAMPLE
from tests.support.server_process import serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("runs")
    for place in range(4):
        rows = [{"_step": step, "loss": place + step / 10, "acc": step, "note": "text"} for step in range(30)]
        late = [{"_step": 30 + step, "epoch": step} for step in range(5)]
        write_log(made, f"run{place}", [*rows, *late], config={"lr": place % 2})
    return made


def picture_of(figure: Any) -> bytes:
    output = io.BytesIO()
    save(figure, output, "png")
    return output.getvalue()


OPTIONS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--smooth", "0.9", "--log-y"], {"smooth": 0.9, "log_y": True}),
    (["--smooth"], {"smooth": True}),
    (["--min-step", "5", "--max-step", "20", "--title", "T"], {"min_step": 5, "max_step": 20, "title": "T"}),
    (["-x", "epoch", "--align", "outer"], {"x": "epoch", "align": "outer"}),
    (["-x", "acc", "--size", "640x480"], {"x": "acc", "size": (640, 480)}),
]


@pytest.mark.filterwarnings("ignore:log_y leaves out")
@pytest.mark.parametrize(("options", "arguments"), OPTIONS, ids=str)
def test_pictures_are_those_of_the_command(
    options: list[str], arguments: dict[str, Any], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, many = tmp_path / "one.png", tmp_path / "many.png"
    keys = ["-k", "epoch" if "epoch" in options else "loss", *options]
    key = keys[1]
    log = next(folder.glob("*/run-run3.wandb"))
    for path, goal, opened in ((log, one, histscan.open(log)), (folder, many, histscan.open_runs(folder))):
        assert main(["plot", str(path), *keys, "-o", str(goal), "-q"]) == 0, capsys.readouterr().err
        assert picture_of(opened.plot(key, **arguments)) == goal.read_bytes()


def test_options_of_many_runs(folder: Path, tmp_path: Path) -> None:
    goal = tmp_path / "many.png"
    command = ["-k", "l*", "-k", "acc", "--group-by", "config.lr", "--band", "minmax", "--buckets", "10"]
    assert main(["plot", str(folder), *command, "-o", str(goal), "-q"]) == 0
    figure = histscan.open_runs(folder).plot([re.compile("^l"), "acc"], group_by="config.lr", band="minmax", buckets=10)
    assert picture_of(figure) == goal.read_bytes()


def test_panels_of_one_run(tmp_path: Path) -> None:
    goal = tmp_path / "one.png"
    run = histscan.open(EXAMPLE)
    for panels in ("auto", "one", "each"):
        keys = ["-k", "loss", "-k", "validation.loss", "-k", "learning_rate"]
        assert main(["plot", str(EXAMPLE), *keys, "--panels", panels, "-o", str(goal), "-q"]) == 0
        figure: Any = run.plot(["loss", "validation.loss", "learning_rate"], panels=panels)
        assert picture_of(figure) == goal.read_bytes()
        shown = [axes.get_ylabel() for axes in figure.axes]
        assert (
            shown
            == {
                "auto": ["loss", "learning_rate"],
                "one": ["loss, validation.loss, learning_rate"],
                "each": ["loss", "validation.loss", "learning_rate"],
            }[panels]
        )


def test_figures_are_matplotlibs() -> None:
    figure: Any = histscan.open(EXAMPLE).plot("loss")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert issubclass(type(figure), matplotlib.figure.Figure)
    figure.axes[0].set_title("mine")
    again = pickle.loads(pickle.dumps(figure))
    assert again.axes[0].get_title() == "mine"


def test_nothing_of_matplotlib_changes() -> None:
    program = f"""
import logging, sys
logging.getLogger("matplotlib").setLevel(logging.DEBUG)
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
logging.getLogger("matplotlib").propagate = False
import matplotlib
matplotlib.rcParams["lines.linewidth"] = 7.5

def settings():
    # Asking for the backend would import pyplot.
    return {{name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}}

before = settings()
import histscan
histscan.open({str(EXAMPLE)!r}).plot("loss")._repr_png_()
assert settings() == before
assert logging.getLogger("matplotlib").level == logging.DEBUG
assert "matplotlib.pyplot" not in sys.modules
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_threads_leave_settings_alone() -> None:
    names = [name for name in matplotlib.rcParams if name != "backend"]
    before = {name: matplotlib.rcParams[name] for name in names}
    run = histscan.open(EXAMPLE)
    expected = picture_of(run.plot("loss", max_step=50))
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: picture_of(run.plot("loss", max_step=50)), range(8)))
    assert set(pictures) == {expected}
    assert {name: matplotlib.rcParams[name] for name in names} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smooth": 1.0}, "smooth must be a weight from 0 to below 1, not 1.0"),
        ({"align": "left"}, "align must be one of 'outer', 'ffill', 'interpolate', not 'left'"),
        ({"size": (10, 10_000)}, "size must be width and height in pixels, 200 to 10,000"),
        ({"x": "none"}, "no (row|run) has 'none'"),
        ({"log_y": True}, None),
    ],
    ids=str,
)
def test_invalid_options(arguments: dict[str, Any], message: str | None, folder: Path) -> None:
    for opened in (histscan.open(next(folder.glob("*/run-run0.wandb"))), histscan.open_runs(folder)):
        if message is None:
            with pytest.warns(UserWarning, match=r"log_y leaves out \d value") as found:
                opened.plot("loss", **arguments)
            assert [warning.filename for warning in found] == [__file__]
            continue
        with pytest.raises(ValueError, match=message):
            opened.plot("loss", **arguments)


def test_invalid_keys(folder: Path) -> None:
    run, runs = histscan.open(next(folder.glob("*/run-run0.wandb"))), histscan.open_runs(folder)
    for opened in (run, runs):
        for keys, message in (
            ("los", "did you mean loss"),
            ("x*", "has 'x\\*'"),
            ("n*", "no key that matches 'n\\*' is numeric"),
            ("note", "'note' is not numeric"),
        ):
            with pytest.raises(ValueError, match=message):
                opened.plot(keys)
    with pytest.raises(ValueError, match="panels must be one of 'auto', 'one', 'each'"):
        run.plot("loss", panels="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="source applies to runs on a server"):
        run.plot("loss", source="pages")
    with pytest.raises(ValueError, match="band must be one of"):
        runs.plot("loss", band="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="buckets must be from 2 to 10,000, not 1"):
        runs.plot("loss", buckets=1)
    with pytest.raises(ValueError, match="there are no runs to plot"):
        runs.filter({"name": "nobody"}).plot("loss")


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=re.escape(f"plot() needs matplotlib: {install_command('plot')}")):
        histscan.open(EXAMPLE).plot("loss")


def curve(key: str, *values: float) -> Curve:
    return Curve(key, np.arange(len(values), dtype=np.float64), np.array(values, dtype=np.float64))


def test_keys_of_different_scale_have_panels() -> None:
    loss, accuracy, tokens, rate = (
        curve("loss", 5, 1),
        curve("accuracy", 0, 1),
        curve("tokens", 1e8, 1e9),
        curve("rate", 0.001, 0.0001),
    )
    found = panels_of([loss, tokens, accuracy, rate], "auto", is_log=False)
    assert [[member.key for member in panel] for panel in found] == [["loss", "accuracy"], ["tokens"], ["rate"]]
    # On a logarithmic axis, a factor of ten looks the same everywhere.
    falling, lower = curve("falling", 100, 1), curve("lower", 1, 0.01)
    assert len(panels_of([falling, lower], "auto", is_log=True)) == 1
    assert len(panels_of([falling, lower], "auto", is_log=False)) == 2
    assert len(panels_of([falling, tokens, rate], "auto", is_log=True)) == 2
    # A constant is readable among others, but does not let them be flat.
    assert len(panels_of([loss, curve("epoch", 3, 3)], "auto", is_log=False)) == 1
    assert len(panels_of([loss, curve("size", 1e6, 1e6)], "auto", is_log=False)) == 2
    assert len(panels_of([curve("a", 1, 1), curve("b", 1000, 1000)], "auto", is_log=False)) == 2
    nothing = curve("nothing", float("nan"))
    assert len(panels_of([nothing, loss], "auto", is_log=False)) == 1
    many = [curve(f"k{place}", 0, 1) for place in range(20)]
    assert max(map(len, panels_of(many, "auto", is_log=False))) <= 7
    assert sorted(member.key for panel in panels_of(many, "auto", is_log=False) for member in panel) == sorted(
        member.key for member in many
    )


def test_labels_of_the_y_axis() -> None:
    assert shared_label(["a"], 3) == "a"
    assert shared_label(["loss", "validation.loss", "test/loss"], 99) == "loss"
    assert shared_label(["acc", "loss"], 99) == "acc, loss"
    assert shared_label(["accuracy", "loss"], 5) == "value"


def test_labels_of_ticks_differ() -> None:
    stamps = [1_795_431_708.0, 1_795_431_709.0, 1_795_431_710.0]
    assert NumberFormatter().format_ticks(stamps) == ["1.795431708G", "1.795431709G", "1.79543171G"]
    assert NumberFormatter().format_ticks([0.0, 0.5, 1500.0]) == ["0", "0.5", "1,500"]
    assert NumberFormatter()(2500.0) == "2,500"


def test_runs_on_a_server_take_a_source(tmp_path: Path) -> None:
    run = histscan.open(EXAMPLE)
    expected = picture_of(run.plot("loss", max_step=100, title="T"))
    with serving(EXAMPLE) as server:
        served = histscan.Api(server.url, "k" * 40).run("/".join(run.path))
        server.forget_traffic()
        assert picture_of(served.plot("loss", max_step=100, title="T", source="pages")) == expected
        requested = json.dumps(server.traffic())
    assert "HistoryPage" in requested
    assert "ExportedFiles" not in requested
