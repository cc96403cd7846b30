"""A real Jupyter kernel: what it shows of a run, of a plot, and of the progress of a scan."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

from tests.support.paths import EXAMPLE

pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

CELLS = (
    f"import histscan; run = histscan.open({str(EXAMPLE)!r}); run",
    "run.plot('loss', size=(400, 300))",
    "import matplotlib.pyplot; run.plot('loss', size=(400, 300))",
    """
import time
from histscan.paging.progress_bar import ProgressBar
for total in (10, 0):
    with ProgressBar(total, "steps") as bar:
        for done in range(8):
            bar.update(done, 100 * done)
            time.sleep(0.1)
""",
)


@pytest.fixture(scope="module")
def outputs() -> list[list[dict[str, Any]]]:
    """The outputs of each cell: the data of each, by media type."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with warnings.catch_warnings():
        # The kernel listens on this machine only.
        warnings.simplefilter("ignore")
        asyncio.run(nbclient.NotebookClient(book, timeout=120, kernel_name="python3").async_execute())
    return [[output.get("data", dict(output)) for output in cell.outputs] for cell in book.cells]


def test_runs_are_shown(outputs: list[list[dict[str, Any]]]) -> None:
    (shown,) = outputs[0]
    assert "<table" in shown["text/html"]
    assert shown["text/plain"].startswith("<LogRun ")


def test_plots_are_shown_once_with_and_without_pyplot(outputs: list[list[dict[str, Any]]]) -> None:
    for cell in outputs[1:3]:
        (shown,) = cell
        assert shown["image/png"]


def test_bars_are_widgets(outputs: list[list[dict[str, Any]]]) -> None:
    """As text, where the notebook is read without widgets, the bar shows rows, too."""
    with_total, without = outputs[3]
    for shown in (with_total, without):
        assert "application/vnd.jupyter.widget-view+json" in shown
        assert " rows, " in shown["text/plain"] or " rows [" in shown["text/plain"]
    assert "%|" in with_total["text/plain"]
    assert "%|" not in without["text/plain"]
