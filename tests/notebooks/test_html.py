"""What a notebook shows of runs, collections and scans: what it says, what it reads, and that all is escaped."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import histscan
from histscan.notebooks.markup import show
from histscan.notebooks.sparkline import sparkline
from histscan.notebooks.values import short
from histscan.runs import run_html
from tests.support.graphql_server import Answer, GraphQLServer
from tests.support.many_runs import write_log
from tests.support.paths import EXAMPLE
from tests.support.server_process import ServerProcess, serving

EVIL = "<script>alert('1')</script>\"&\x1b[31m\u202e"
ROWS = [{"_step": step, "loss": 1 / (step + 1), "acc": {"top": step}, "note": "text"} for step in range(50)]


def parse(shown: str) -> ElementTree.Element:
    """The elements; each is closed, so that an XML parser can read them."""
    return ElementTree.fromstring(shown)


def texts(shown: str) -> list[str]:
    return [text for element in parse(shown).iter() if element.tag != "title" for text in [element.text or ""] if text]


def table_of(shown: str, place: int) -> list[list[str]]:
    found = list(parse(shown).iter("table"))[place]
    return [["".join(cell.itertext()) for cell in row if cell.tag in ("td", "th")] for row in found.iter("tr")]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path, "abc", ROWS, config={"lr": 0.1, "model": {"depth": 3}}, name="baseline", tags=["t1"])


def test_runs_in_files(log: Path) -> None:
    shown = histscan.open(log)._repr_html_()
    assert texts(shown)[0] == "LogRun e/p/abc"
    assert ["name", "baseline"] in table_of(shown, 0)
    assert ["tags", "t1"] in table_of(shown, 0)
    assert table_of(shown, 1) == [["lr", "0.1"], ["model.depth", "3"]]
    header, *keys = table_of(shown, 2)
    assert header == ["key", "last", "curve"]
    assert [row[:2] for row in keys] == [["loss", "0.02"], ["acc.top", "49"], ["note", "text"]]
    assert texts(shown)[-1] == "50 rows: all of the history"
    assert len(list(parse(shown).iter("svg"))) == 2


def test_names_and_values_are_escaped(tmp_path: Path) -> None:
    rows = [{"_step": step, EVIL: step, "text": EVIL} for step in range(3)]
    log = write_log(tmp_path, "abc", rows, config={EVIL: EVIL}, name=EVIL, tags=[EVIL], entity=EVIL, summary={EVIL: 1})
    run = histscan.open(log)
    runs = histscan.open_runs(tmp_path)
    scan = run.scan_history(keys=[EVIL])
    allowed = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "svg", "title", "path"}
    for thing in (run, runs, runs.table(), scan):
        shown = thing._repr_html_()
        assert {element.tag for element in parse(shown).iter()} <= allowed
        for element in parse(shown).iter():
            assert set(element.attrib) <= {
                "style", "role", "aria-label", "width", "height", "viewBox", "d", "fill", "stroke", "stroke-width",
                "stroke-linejoin", "stroke-linecap",
            }  # fmt: skip
        assert "<script" not in shown
        assert "&lt;script&gt;" in shown
        assert not re.search("[\x00-\x1f\u202e]", shown)


def test_colours_are_those_of_the_theme(log: Path) -> None:
    """Text and background are the notebook's: only the lines of tables and curves have a colour, a medium one."""
    runs = histscan.open_runs(log.parent.parent)
    for thing in (runs[0], runs, runs.table(), runs[0].scan_history()):
        for element in parse(thing._repr_html_()).iter():
            style = element.get("style", "")
            assert not re.search(r"(?<!-)\bcolor:", style)
            assert re.findall(r"background:(\w+)", style) in ([], ["none"])


def test_values() -> None:
    assert [short(value) for value in (0.123456789, True, None, 10**5000, -(10**20), "a", [1, 2.5], {}, {"a": 1})] == [
        "0.123457", "true", "null", "inf", "-1e+20", "a", "[1, 2.5]", "{}", "{…}",
    ]  # fmt: skip
    assert short(list(range(100))) == "[0, 1, 2, 3, …]"
    assert show("x" * 1000) == "x" * 79 + "…"


def points_of(picture: str) -> list[list[tuple[float, float]]]:
    """The pieces of a curve, in pixels."""
    (path,) = parse(picture).iter("path")
    pieces = [piece for piece in path.get("d", "").split("M") if piece]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in piece.split("L"))] for piece in pieces]


def test_curves() -> None:
    (piece,) = points_of(sparkline("a", [(0, 0), (1, 5), (2, 10)]))
    first, second, third = dict.fromkeys(piece)
    assert first[0] < second[0] < third[0]
    assert first[1] > second[1] > third[1]
    assert second[1] == pytest.approx((first[1] + third[1]) / 2)
    nan, inf = math.nan, math.inf
    assert len(points_of(sparkline("a", [(0, 0), (1, nan), (2, 1), (3, 2), (4, inf), (5, 0)]))) == 3
    assert sparkline("a", [(0, nan), (1, inf)]) == sparkline("a", []) == ""
    for same in ([(3, 7)], [(0, 1e308), (1, -1e308)], [(0, 5), (1, 5)], [(0, 1), (0, 2)]):
        assert all(0 <= x <= 180 and 0 <= y <= 32 for piece in points_of(sparkline("a", same)) for x, y in piece)
    spiky = [(float(step), 100.0 if step == 12_345 else step % 2) for step in range(100_000)]
    pieces = points_of(sparkline("a", spiky))
    assert sum(map(len, pieces)) <= 4 * 181 + 1
    assert min(y for _, y in pieces[0]) == pytest.approx(3)


def test_large_files_are_not_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = histscan.open(log)
    runs = histscan.open_runs(log.parent.parent)
    monkeypatch.setattr(run_html, "LARGEST_PREVIEW", 10)
    monkeypatch.setattr("histscan.many.runs_html.LARGEST_PREVIEW", 10)
    # Reading more than the first record would fail.
    content = log.read_bytes()
    log.write_bytes(content[:300].ljust(len(content), b"\0"))
    with pytest.raises(histscan.HistoryError):
        list(run.scan_history())
    assert "too large to be read for this view" in run._repr_html_()
    assert "0.0 MB, not read" in runs._repr_html_()


def test_failures_are_shown(log: Path) -> None:
    run, runs = histscan.open(log), histscan.open_runs(log.parent.parent)
    log.unlink()
    assert repr(run) == f"<LogRun in {str(log)!r}>"
    assert "FileNotFoundError" in run._repr_html_()
    assert "FileNotFoundError" in runs._repr_html_()


def test_no_rows(tmp_path: Path) -> None:
    assert "no history" in histscan.open(write_log(tmp_path, "abc", []))._repr_html_()


def test_a_scan_is_not_consumed(log: Path) -> None:
    run = histscan.open(log)
    scan = run.scan_history(keys=["loss"], min_step=5)
    first = next(scan)
    shown = scan._repr_html_()
    assert ["keys", "loss"] in table_of(shown, 0)
    assert ["steps", "5 to the end"] in table_of(shown, 0)
    # iter() would start over.
    rest = list(itertools.islice(map(next, itertools.repeat(scan)), 44))
    assert [first, *rest] == [{"loss": row["loss"]} for row in ROWS[5:]]
    with pytest.raises(StopIteration):
        next(scan)
    unread = run.scan_history()
    unread._repr_html_()
    assert (unread.bytes_read, sum(1 for _ in unread)) == (0, 50)


def test_many_runs(tmp_path: Path) -> None:
    for place in range(13):
        write_log(tmp_path, f"r{place:02}", ROWS[:3], config={"lr": place, "same": 1}, summary={"loss": place / 10})
    runs = histscan.open_runs(tmp_path)
    header, *lines = table_of(runs._repr_html_(), 0)
    assert header == ["id", "name", "state", "config.lr", "summary.loss"]
    assert [line[0] for line in lines] == [f"r{place:02}" for place in range(10)]
    assert lines[3][3:] == ["3", "0.3"]
    assert texts(runs._repr_html_())[-1] == "13 runs; shown: the first 10. All of them: runs.table()"
    header, *lines = table_of(runs.table()._repr_html_(), 0)
    assert header[0] == "id"
    assert len(lines) == 13
    assert "config.lr" in header


@pytest.fixture(scope="module")
def served() -> Iterator[ServerProcess]:
    with serving(EXAMPLE) as running:
        yield running


def operations(server: ServerProcess) -> dict[str, Any]:
    counts: dict[str, Any] = server.traffic()["operations"]
    return counts


def test_runs_on_a_server_take_one_request(served: ServerProcess) -> None:
    local = histscan.open(EXAMPLE)
    run = histscan.Api(served.url, "k" * 40).run("/".join(local.path))
    served.forget_traffic()
    shown = run._repr_html_()
    assert operations(served) == {"SampledRows": 1}
    assert ["name", "lissajous regression"] in table_of(shown, 0)
    last = dict(row[:2] for row in table_of(shown, 2))
    assert last["loss"] == short(run.summary["loss"])
    assert "sampled by the server, in one request" in shown
    assert len(list(parse(shown).iter("svg"))) >= 5


def test_projects_take_two_requests(served: ServerProcess) -> None:
    entity, project, run_id = histscan.open(EXAMPLE).path
    runs = histscan.Api(served.url, "k" * 40).runs(f"{entity}/{project}")
    served.forget_traffic()
    shown = runs._repr_html_()
    assert sum(operations(served).values()) <= 2
    assert table_of(shown, 0)[1][0] == run_id


def test_scans_on_a_server_take_none(served: ServerProcess) -> None:
    scan = histscan.Api(served.url, "k" * 40).run("/".join(histscan.open(EXAMPLE).path)).scan_history(keys=["loss"])
    served.forget_traffic()
    assert ["keys", "loss"] in table_of(scan._repr_html_(), 0)
    assert operations(served) == {}
    assert next(scan)["loss"] > 0


def test_servers_that_fail(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histscan.sources.retry.sleep", lambda seconds: None)
    server.respond = lambda request: Answer(b"", 500)
    assert "HistoryRequestError" in histscan.Api(server.url, "k" * 40).runs("e/p")._repr_html_()
