"""Filters and orders of runs, as `wandb.Api().runs()` sends them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from histscan.many.filters import FilterError
from histscan.server.history_rows import HistoryRows
from histscan.server.run_filters import SERVED_FIELDS
from histscan.server.run_listing import cursor_of, list_runs
from histscan.server.served_run import ExportedFiles, HistorySize, RunDescription, RunDetails, RunKey, ServedRun

DESCRIPTION = RunDescription(
    name="brave fox",
    created_at=datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
    tags=("baseline", "v2"),
    group="sweep-1",
)
DETAILS = RunDetails(
    state="finished",
    heartbeat_at=datetime(2026, 1, 31, 13, tzinfo=timezone.utc),
    config={"lr": 0.1, "optimizer": {"name": "adam"}, "a.b": 1, "layers": [32, 16], "none": None, "flag": True},
    summary={"loss": 0.5, "nan": float("nan"), "validation": {"loss": 0.75}},
    last_step=99,
    row_count=100,
    key_types={},
)


class FakeRun(ServedRun):
    """A run without a history."""

    def __init__(self, run_id: str, created_at: datetime = DESCRIPTION.created_at, **details: Any) -> None:
        super().__init__(RunKey("team", "project", run_id))
        self._description = replace(DESCRIPTION, created_at=created_at)
        self._details = replace(DETAILS, **details)

    def description(self) -> RunDescription:
        return self._description

    def details(self) -> RunDetails:
        return self._details

    def history_size(self) -> HistorySize:
        raise NotImplementedError

    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:
        raise NotImplementedError

    def exported_files(self) -> ExportedFiles:
        raise NotImplementedError


def passes(filters: Any) -> bool:
    return SERVED_FIELDS.compile_text(json.dumps(filters))(FakeRun("abc"))


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"state": "finished"},
        {"name": "abc"},
        {"display_name": "brave fox"},
        {"displayName": {"$regex": "^brave"}},
        {"display_name": {"$regex": "BRAVE", "$options": "i"}},
        {"config.lr": 0.1},
        {"config.lr.value": 0.1},
        {"config.optimizer.name": "adam"},
        {"config.optimizer.value.name": {"$exists": False}},
        {"config.a.b": 1},
        {"config.layers": 16},
        {"config.layers": [32, 16]},
        {"config.none": None},
        {"config.missing": None},
        {"config.missing": {"$exists": False}},
        {"config.none": {"$exists": True}},
        {"config.missing": {"$ne": 3}},
        {"config.missing": {"$nin": [3]}},
        {"config.flag": True},
        {"config.flag": {"$ne": 1}},
        {"summary_metrics.loss": {"$lt": 0.6, "$gte": 0.5}},
        {"summary_metrics.validation.loss": {"$gt": 0.5}},
        {"summary.loss": 0.5},
        {"tags": "v2"},
        {"tags": {"$in": ["v2", "v3"]}},
        {"tags": {"$nin": ["v3"]}},
        {"tags": {"$regex": "^base"}},
        {"group": "sweep-1"},
        {"job_type": None},
        {"created_at": {"$gt": "2026-01-31"}},
        {"createdAt": {"$lte": "2026-01-31T12:00:00Z"}},
        {"created_at": {"$gte": "2026-01-31T13:00:00+01:00"}},
        {"created_at": "2026-01-31T12:00:00"},
        {"duration": 3600},
        {"$or": [{"state": "crashed"}, {"name": "abc"}]},
        {"$and": [{"state": "finished"}, {"name": "abc"}]},
        {"$nor": [{"state": "crashed"}]},
        {"$not": {"state": "crashed"}},
        {"summary_metrics.loss": {"$not": {"$gt": 0.5}}},
        {"$or": [{"$and": [{"state": {"$in": ["finished"]}}]}]},
    ],
)
def test_filters_that_match(filters: dict[str, Any]) -> None:
    assert passes(filters)


@pytest.mark.parametrize(
    "filters",
    [
        {"state": "crashed"},
        {"config.lr": "0.1"},
        {"config.flag": 1},
        {"config.lr": {"$gt": "0"}},
        {"config.flag": {"$gte": 0}},
        {"config.missing": {"$gt": 0}},
        {"config.lr": None},
        {"config.optimizer": "adam"},
        {"config.layers": {"$lt": 16}},
        {"summary_metrics.nan": {"$gt": 0}},
        {"summary_metrics.nan": {"$lte": 0}},
        {"summary_metrics.nan": 0},
        {"tags": {"$nin": ["v2"]}},
        {"tags": "base"},
        {"state": {"$regex": "x"}},
        {"config.lr": {"$regex": "0"}},
        {"created_at": {"$lt": "2026-01-31"}},
        {"$or": []},
        {"$nor": [{"state": "finished"}]},
        {"state": "finished", "name": "other"},
    ],
)
def test_filters_that_do_not_match(filters: dict[str, Any]) -> None:
    assert not passes(filters)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([], "a filter must be an object"),
        ({"$where": "1"}, r"no operator \$where"),
        ({"state": {"$near": 1}}, r"no operator \$near"),
        ({"state": {"$in": "x"}}, r"\$in must have a list"),
        ({"$or": {}}, r"\$or must have a list"),
        ({"$and": [1]}, "a filter must be an object"),
        ({"state": {"$regex": "("}}, "is not a valid pattern"),
        ({"state": {"$regex": 1}}, "is not a valid pattern"),
        ({"state": {"$regex": "(" * 500 + ")" * 500}}, "is not a valid pattern"),
        ({"state": {"$regex": "(?:a{1000}){1000}"}}, "repeats multiply"),
        ({"state": {"$regex": "a" * 2000}}, "more than 1,000 characters"),
        ({"config." + "a." * 1000: 1}, "more than 1,000 characters"),
        ({"nothing": 1}, "runs have no field 'nothing'"),
        ({"created_at": {"$gt": "yesterday"}}, "is not a time"),
    ],
)
def test_invalid_filters(filters: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        passes(filters)


@pytest.mark.parametrize("levels", [40, 300, 5_000, 200_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('{"$not":', "}"),
        ('{"$and":[', "]}"),
        ('{"$or":[{},', "]}"),
    ],
)
def test_filters_that_are_nested_too_deeply(opening: str, closing: str, levels: int) -> None:
    with pytest.raises(FilterError, match="nested too deeply"):
        SERVED_FIELDS.compile_text(opening * levels + "{}" + closing * levels)
    assert SERVED_FIELDS.compile_text(opening * 10 + "{}" + closing * 10) is not None


def test_deep_conditions() -> None:
    condition: Any = {"$gt": 1}
    for _ in range(500):
        condition = {"$not": condition}
    with pytest.raises(FilterError, match="nested too deeply"):
        SERVED_FIELDS.compile({"config.lr": condition})


def test_expressions_that_backtrack_forever_are_stopped() -> None:
    run = FakeRun("a" * 60 + "!")
    assert not SERVED_FIELDS.compile({"name": {"$regex": "^(a+)+$"}})(run)
    test = SERVED_FIELDS.compile({"name": {"$regex": "^(a|aa)+$"}})
    for _ in range(2):
        with pytest.raises(FilterError, match="takes longer than 1 s"):
            test(run)


def test_all_expressions_of_a_filter_share_the_time() -> None:
    run = FakeRun("a" * 60 + "!")
    conditions = [{"name": {"$regex": f"^(a|aa)+{number}$"}} for number in range(50)]
    with pytest.raises(FilterError, match="takes longer than 1 s"):
        SERVED_FIELDS.compile({"$or": conditions})(run)
    with pytest.raises(FilterError, match="more than 100 patterns"):
        SERVED_FIELDS.compile({"$or": conditions * 3})


def test_orders_by_many_fields() -> None:
    with pytest.raises(FilterError, match="at most 16 fields"):
        list_runs([FakeRun("a")], "name," * 100 + "name", None, None)


def test_text_that_is_not_json() -> None:
    with pytest.raises(FilterError, match="not JSON"):
        SERVED_FIELDS.compile_text("{")
    assert SERVED_FIELDS.compile_text(None)(FakeRun("abc"))
    assert SERVED_FIELDS.compile_text("")(FakeRun("abc"))


RUNS = [
    FakeRun("a", summary={"loss": 2}, state="crashed"),
    FakeRun("b", summary={"loss": 1.5}, created_at=datetime(2025, 1, 1, tzinfo=timezone.utc)),
    FakeRun("c", summary={}),
    FakeRun("d", summary={"loss": float("nan")}),
    FakeRun("e", summary={"loss": "high"}),
    FakeRun("f", summary={"loss": None}, config={"lr": 3}),
]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, "bacdef"),
        ("+created_at", "bacdef"),
        ("created_at", "bacdef"),
        ("-created_at", "acdefb"),
        ("+summary_metrics.loss", "baecdf"),
        ("-summary_metrics.loss", "eabcdf"),
        ("-config.lr.value", "fabcde"),
        ("state,-name", "afedcb"),
    ],
)
def test_orders(order: str | None, expected: str) -> None:
    page = list_runs(RUNS, order, None, None)
    assert "".join(run.key.id for run in page.runs) == expected
    assert not page.has_next


def test_pages_join_to_the_whole_list() -> None:
    for size in range(1, 8):
        names, after = "", None
        while True:
            page = list_runs(RUNS, "-created_at", after, size)
            names += "".join(run.key.id for run in page.runs)
            if not page.has_next:
                break
            after = cursor_of(page.runs[-1])
        assert names == "acdefb"


def test_invalid_cursors() -> None:
    for cursor in ("x", "????", "AAAA", cursor_of(FakeRun("z"))):
        with pytest.raises(FilterError):
            list_runs(RUNS, None, cursor, 1)
    assert cursor_of(FakeRun("…\0")) != cursor_of(FakeRun("…"))
