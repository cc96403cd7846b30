"""The real client with rows from exported files: wandb's own rows in their order, except for what files don't store."""

from __future__ import annotations

import json
import math
import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import ASKS_SERVICE, METHODS, RELEASE
from tests.support.matrix_runs import SERVERS, STEPS, WORKSPACE
from tests.support.server_process import Server

SERVER = "behind"

# Pages as wide as the run: at the border of two pages, wandb's scans of keys return some rows twice.
WIDE = {"page_size": 5_000}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mixed", {}),
    ("mixed", {"page_size": 70}),
    ("mixed", {"min_step": 990, "max_step": 1_010}),
    ("mixed", {"min_step": 2_050, "max_step": 2_301, "page_size": 100}),
    ("mixed", {"min_step": 2_490}),
    ("mixed", {"min_step": 30, "max_step": 20}),
    ("mixed", {"max_step": 3_000}),
    ("mixed", {"keys": ["_step", "loss"], **WIDE}),
    ("mixed", {"keys": ["_step", "accuracy", "note"], **WIDE}),
    ("mixed", {"keys": ["_step", "nested.deep.y"], **WIDE}),
    ("gaps", {}),
    ("gaps", {"keys": ["_step", "loss"], **WIDE}),
    ("sparse", {}),
    ("sparse", {"keys": ["_step", "accuracy"], "page_size": 100_000}),
    ("single", {}),
    ("empty", {}),
]
if not ASKS_SERVICE or RELEASE >= (0, 26, 0):
    # Earlier, wandb-core fails if a file has no column of a key.
    CASES.append(("mixed", {"keys": ["accuracy", "_step", "list"], "min_step": 400, "max_step": 1_600, **WIDE}))
    CASES.append(("mixed", {"keys": ["_step", "loss", "no such key"], **WIDE}))
if len(METHODS) == 1:
    # wandb's own BetaHistoryScan fails in some releases if the step is not among the keys.
    CASES.append(("mixed", {"keys": ["accuracy"], **WIDE}))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of exported files, separate from wandb-core's."""
    folder = Path(os.environ[WORKSPACE]) / "exported"
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def traffic(request: pytest.FixtureRequest) -> Server:
    """The server, with its request counts reset."""
    server = Server(json.loads(os.environ[SERVERS])[request.module.SERVER])
    server.forget_traffic()
    return server


def plain(value: Any) -> Any:
    """Returns the value as files store it: missing equals null, and 1 equals 1.0."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value) if value[key] is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        # Some releases of wandb-core return these for NaN and infinities.
        value = float(value.replace("Infinity", "inf"))
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def plain_row(row: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """Returns the row as files store it. With keys, a missing key is not the same as one without a value."""
    return {key: plain(row[key]) for key in sorted(row)} if "keys" in arguments else plain(row)


def wandbs_rows(run: Any, method: str, arguments: dict[str, Any]) -> list[Any]:
    """The rows of wandb's own way to read, one of each step.

    wandb-core knows no nested keys, so these are chosen here.
    """
    arguments = dict(arguments)
    keys = arguments.get("keys", ())
    is_nested = any("." in key for key in keys)
    if is_nested:
        del arguments["keys"]
    rows: dict[Any, Any] = {}
    for row in getattr(run, method)(**arguments):
        # Rows without a step have no repeated ones.
        rows.setdefault(row.get("_step", len(rows)), plain_row(row, arguments))
    ordered = [rows[step] for step in sorted(rows)]
    return [{key: value_of(row, key) for key in sorted(keys)} for row in ordered] if is_nested else ordered


def value_of(row: Any, key: str) -> Any:
    """Looks up a dotted key in a row."""
    for name in key.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("run", "arguments"), CASES, ids=[f"{run}-{arguments}" for run, arguments in CASES])
def test_same_rows(open_run: Open, method: str, run: str, arguments: dict[str, Any]) -> None:
    opened = open_run(run)
    with installed(source="parquet"):
        scan = getattr(opened, method)(**arguments)
        ours = [plain_row(row, arguments) for row in scan]
        assert [plain_row(row, arguments) for row in scan] == ours
        assert not ours or scan.page_offset > ours[-1].get("_step", -1)
    with installed():
        # wandb's own classes end at a gap in some releases; that ours don't is tested elsewhere.
        expected = wandbs_rows(opened, method, arguments)
    if (run, RELEASE < (0, 26, 0)) != ("sparse", True):
        assert ours == expected
    if "keys" not in arguments:
        first, stop = arguments.get("min_step", 0), arguments.get("max_step", 10**9)
        assert [row["_step"] for row in ours] == [step for step in STEPS[run] if first <= step < stop]


def test_files_are_read(open_run: Open, traffic: Server, cache: Path) -> None:
    with installed(source="parquet"):
        scan = open_run("mixed").scan_history()
        asked_before = traffic.traffic()["operations"]
        assert "ExportedFiles" not in asked_before
        first = list(islice(scan, 5))
        assert [row["_step"] for row in first] == [0, 1, 2, 3, 4]
        asked = traffic.traffic()["operations"]
        assert asked["ExportedFiles"] == 1
        assert not {"HistoryPage", "RunParquetHistory"} & asked.keys()
        assert list(cache.glob("*.parquet"))
        # The rest of the history is not in files.
        assert len(list(scan)) == 2_500
        assert traffic.traffic()["operations"]["HistoryPage"] >= 1
        assert "RunParquetHistory" not in traffic.traffic()["operations"]


def test_columns(open_run: Open) -> None:
    with installed(source="parquet"):
        scan = open_run("mixed").scan_history(max_step=2_000)
        table = scan.to_arrow(["_step", "note"])
        assert table.column("_step").to_pylist() == list(range(2_000))
        assert table.column("note").to_pylist() == [row["note"] for row in scan]
        whole = open_run("mixed").scan_history().to_arrow(["_step", "epoch"])
        assert whole.column("_step").to_pylist() == STEPS["mixed"]


def test_columns_of_keys_have_the_rows(open_run: Open) -> None:
    with installed(source="parquet"):
        for arguments in ({"min_step": 10, "max_step": 1_900}, {}):
            scan = open_run("mixed").scan_history(keys=["_step", "accuracy"], **arguments)
            rows = [{"_step": row["_step"], "accuracy": row.get("accuracy")} for row in scan]
            assert scan.to_arrow().to_pylist() == rows
            assert [row for batch in scan.batches(rows=99) for row in batch.to_pylist()] == rows


def test_a_scan_can_be_moved_and_started_over(open_run: Open) -> None:
    with installed(source="parquet"):
        scan = open_run("mixed").scan_history(page_size=100)
        assert [next(scan)["_step"] for _ in range(1_050)][-1] == 1_049
        scan.rows = []
        scan.page_offset = 2_050
        assert [next(scan)["_step"] for _ in range(100)] == list(range(2_050, 2_150))
        assert next(iter(scan))["_step"] == 0
        assert next(scan)["_step"] == 1


def test_keys_that_are_no_list_are_rejected_as_by_wandb(open_run: Open) -> None:
    for keys in ("loss", [1]):
        outcomes = []
        for source in ("pages", "parquet"):
            with installed(source=source):
                try:
                    outcomes.append(repr(list(open_run("mixed").scan_history(keys=keys))))
                except Exception as error:
                    outcomes.append(repr(error))
        assert outcomes[0] == outcomes[1]
