"""`histscan info` and `histscan head` describe a run and its rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import histscan
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import ProtobufPage, TextPage
from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader
from histscan._core.pages.page import Page
from histscan.cli.figures import short_number
from histscan.cli.flatten import column_name, flatten
from histscan.cli.key_statistics import HistoryStatistics
from histscan.cli.main import main
from tests.support import wire
from tests.support.counted_reads import count_reads
from tests.support.paths import EXAMPLE, REAL_LOGS
from tests.support.recording import record_run


def statistics_of(rows: list[dict[str, Any]], batch: int = 512) -> HistoryStatistics:
    statistics = HistoryStatistics()
    for start in range(0, len(rows), batch):
        statistics.add(rows[start : start + batch])
    return statistics


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.just(10**400),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.just({"_type": "histogram", "values": []}),
)
_rows = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), _values), max_size=12)


@given(_rows, st.integers(1, 12))
def test_statistics_match_a_value_by_value_computation(rows: list[dict[str, Any]], batch: int) -> None:
    rows = [{**row, "_step": 2 * step} for step, row in enumerate(rows)]
    statistics = statistics_of(rows, batch)
    assert statistics.rows == len(rows)
    found = {column_name(column): key for column, key in statistics.items()}
    assert found.keys() == {key for row in rows for key in row}
    for name, key in found.items():
        values = [row[name] for row in rows if name in row]
        steps = [row["_step"] for row in rows if name in row]
        numbers = [value for value in values if type(value) in (int, float) and value == value]
        assert key.count == len(values)
        assert (key.first_step, key.last_step) == (steps[0], steps[-1])
        assert key.nan == sum(value != value for value in values)
        assert key.lowest == (min(numbers) if numbers else None)
        assert key.highest == (max(numbers) if numbers else None)
        assert key.last is values[-1]


_nested_values = st.one_of(
    _values,
    st.sampled_from([math.inf, -math.inf, -0.0, 0.0, 0, 1, 1.0, True, 2**63, -(2**70), "\ud800"]),
    st.recursive(_values, lambda below: st.dictionaries(st.sampled_from(["a", "_type"]), below, max_size=2)),
)
_sparse_rows = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "a.a"]), _nested_values), max_size=40)


def _described(statistics: HistoryStatistics) -> dict[Any, Any]:
    """Describes statistics so that 1, 1.0 and True differ, and the order of types and of members does not matter."""
    keys = {
        column: (dict(key.types), key.first_step, key.last_step, key.nan, repr(key.lowest), repr(key.highest), key.last)
        for column, key in statistics.items()
    }
    described = {column: (*facts[:-1], json.dumps(facts[-1], sort_keys=True)) for column, facts in keys.items()}
    return {"rows": statistics.rows, "steps": (statistics.first_step, statistics.last_step), **described}


@pytest.mark.parametrize("kind", ["log", "service", "lines", "rows"])
@given(rows=_sparse_rows, size=st.integers(1, 40))
def test_statistics_of_columns_are_those_of_the_rows(kind: str, rows: list[dict[str, Any]], size: int) -> None:
    rows = [{"_step": 2 * step, **row} for step, row in enumerate(rows)]
    statistics = HistoryStatistics()
    builder = ColumnBuilder(notes_nulls=True)
    decoded: list[dict[str, Any]] = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        items = [[(key, json.dumps(value)) for key, value in row.items()] for row in part]
        if kind == "log":
            page: Page = LogReader().read_window(wire.write_log(map(wire.history_record, items)), True)
        elif kind == "service":
            page = ProtobufPage(wire.page(items))
        else:
            page = TextPage(list(map(json.dumps, part)))
        decoded += part if kind == "rows" else page.rows()
        if kind == "rows":
            builder.add_rows(part)
        else:
            builder.add_page(page)
        if start // size % 2:
            statistics.add_chunk(builder.take_chunk())
    statistics.add_chunk(builder.take_chunk())
    assert _described(statistics) == _described(statistics_of(decoded))


@pytest.mark.parametrize("log", sorted(REAL_LOGS.glob("*.wandb")), ids=lambda log: log.stem)
def test_info_of_real_logs_agrees_with_their_rows(log: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    try:
        rows = list(histscan.open(log).scan_history())
    except histscan.HistoryError:
        assert main(["info", str(log), "--json"]) == 1
        return
    assert main(["info", str(log), "--json"]) == 0
    run, told = histscan.open(log), json.loads(capfdbinary.readouterr().out)
    expected = {column_name(column): key for column, key in statistics_of(rows).items()}
    assert told["keys"].keys() == expected.keys()
    for name, key in expected.items():
        assert told["keys"][name] == {
            "types": dict(key.types),
            "count": key.count,
            "first_step": key.first_step,
            "last_step": key.last_step,
            "nan": key.nan,
            "min": key.lowest,
            "max": key.highest,
            "last": key.last,
        }
    # The pass over the history has found these, too.
    assert [told[name] for name in ("config", "summary", "exit_code", "duration", "metadata", "axes")] == [
        run.config,
        run.summary,
        run.exit_code,
        run.duration,
        run.metadata or {},
        run.axes,
    ]


def test_info_reads_a_log_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    read = count_reads(monkeypatch)
    assert main(["info", str(EXAMPLE)]) == 0
    # The head is read to open the log.
    assert EXAMPLE.stat().st_size <= sum(read) <= EXAMPLE.stat().st_size + 2 * BLOCK_SIZE
    assert "5,000 rows" in capsys.readouterr().out


def test_type_names() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": 1, "c": None, "d": {"_type": "histogram"}, "e": {"f": {}}},
        {"a": 2, "b": 1.5, "c": "x", "d": {"_type": "image-file", "path": "p"}, "e": {"f": [1], "g": True}},
    ]
    types = {column_name(column): key.type for column, key in statistics_of(rows).items()}
    assert types == {
        "a": "int",
        "b": "float",
        "c": "null|text",
        "d": "histogram|image-file",
        "e.f": "dict|list",
        "e.g": "bool",
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"loss": 1.0, "lr": math.nan, "note": "two\nlines"},
        {"loss": 0.25, "nested": {"a": {"b": 3}}},
        {"loss": math.inf, "lr": 0.5, "hist": {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]}},
    ]
    return record_run(
        tmp_path_factory.mktemp("info"),
        rows,
        run_id="small",
        name="small run",
        config={"seed": 7, "model": {"width": 3}},
        settings={"run_tags": ["a", "b\nc"]},
    )


def test_info_of_a_recorded_run(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(recorded)]) == 0
    text = capsys.readouterr().out
    head, _, keys = text.partition("\n\n")
    assert [line.split(maxsplit=1) for line in head.splitlines()][:2] == [
        ["run", "histscan/fixtures/small"],
        ["name", "small run"],
    ]
    assert "3 rows, steps 0 to 2" in head
    described = dict(line.split(maxsplit=1) for line in head.splitlines())
    assert described["config"] == "2 values"
    assert described["state"] == "finished, exit code 0"
    assert described["wandb"] == histscan.open(recorded).wandb_version == "0.26.1"
    assert described["tags"] == r"a, b\nc"
    table = [line.split() for line in keys.splitlines()]
    assert table[0] == ["key", "type", "count", "NaN", "steps", "min", "max", "last"]
    assert ["_step", "int", "3", "0-2", "0", "2", "2"] in table
    assert ["hist", "histogram", "1", "2-2", "(histogram)"] in table
    assert ["loss", "float", "3", "0-2", "0.25", "Infinity", "Infinity"] in table
    assert ["lr", "float", "2", "1", "0-2", "0.5", "0.5", "0.5"] in table
    assert ["nested.a.b", "int", "1", "1-1", "3", "3", "3"] in table
    assert ["note", "text", "1", "0-0", r"two\nlines"] in table
    assert len({line.index(" 0-2") for line in keys.splitlines() if " 0-2" in line}) == 1


def test_info_as_json(recorded: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["info", str(recorded), "--json"]) == 0
    told = json.loads(capfdbinary.readouterr().out)
    run = histscan.open(recorded)
    keys = told.pop("keys")
    assert told == {
        "file": str(recorded),
        "entity": "histscan",
        "project": "fixtures",
        "id": "small",
        "name": "small run",
        "state": "finished",
        "exit_code": 0,
        "wandb_version": "0.26.1",
        "created_at": run.created_at,
        "heartbeat_at": run.heartbeat_at,
        "duration": run.duration,
        "tags": ["a", "b\nc"],
        "axes": {},
        "metadata": run.metadata,
        "rows": 3,
        "first_step": 0,
        "last_step": 2,
        "config": run.config,
        "summary": run.summary,
    }
    assert keys["lr"] == {
        "types": {"float": 2},
        "count": 2,
        "first_step": 0,
        "last_step": 2,
        "nan": 1,
        "min": 0.5,
        "max": 0.5,
        "last": 0.5,
    }
    assert keys["loss"]["max"] == math.inf
    assert main(["info", str(recorded), "--json", "--nan", "string"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["keys"]["loss"]["max"] == "Infinity"


def test_info_of_the_example_agrees_with_its_rows(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["info", str(EXAMPLE), "--json"]) == 0
    keys = json.loads(capfdbinary.readouterr().out)["keys"]
    rows = [flatten(row, typed_whole=True) for row in histscan.open(EXAMPLE).scan_history()]
    assert keys.keys() == {column_name(column) for row in rows for column in row}
    for column in {column for row in rows for column in row}:
        assert keys[column_name(column)]["count"] == sum(column in row for row in rows)


@pytest.mark.parametrize("width", [80, 60])
def test_info_fits_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("histscan.cli.info.terminal_width", lambda: width)
    assert main(["info", str(EXAMPLE)]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert max(map(len, lines)) <= max(width, 78)
    # A key that is too long for its column is printed in full, on its own line.
    assert "validation.distance_quartiles" in lines
    assert "list" in lines[lines.index("validation.distance_quartiles") + 1]


def test_head_shows_the_first_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["head", str(EXAMPLE), "-n", "3", "-k", "loss", "-k", "gradient.norm"]) == 0
    rows = list(histscan.open(EXAMPLE).scan_history(["_step", "loss", "gradient.norm"], max_step=3))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["_step", "loss", "gradient.norm"],
        *([short_number(row[key]) for key in ("_step", "loss", "gradient.norm")] for row in rows),
    ]


def test_head_as_json_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["head", str(EXAMPLE), "--json", "--min-step", "100"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    expected = list(histscan.open(EXAMPLE).scan_history(min_step=100, max_step=110))
    assert [json.dumps(json.loads(line)) for line in lines] == [json.dumps(row) for row in expected]


def test_head_fits_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("histscan.cli.head.terminal_width", lambda: 50)
    assert main(["head", str(EXAMPLE)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 50
    assert "more (select with -k KEY)" in text


def test_history_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = record_run(tmp_path, [], run_id="empty")
    assert main(["info", str(log)]) == 0
    assert main(["head", str(log)]) == 0
    text = capsys.readouterr().out
    assert "0 rows" in text
    assert "no keys: the history is empty" in text
    assert text.endswith("no rows\n")
