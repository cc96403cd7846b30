"""Encoded rows: exact texts, windows, samples, and a bounded cache."""

from __future__ import annotations

import json
import math
import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan.runs.sampling import even_places
from histscan.server import history_rows
from histscan.server.history_rows import HistoryRows, RowCache
from histscan.server.row_texts import json_literal, json_text, strict_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(alphabet='\ud800\udfffa\0"\\\u2028'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.loads(json.dumps(value)))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(values)
def test_texts_are_exact(value: Any) -> None:
    assert repr(json.loads(json_text(value))) == repr(value)
    assert repr(json.loads(json.loads(json_literal(value)))) == repr(value)


@given(values)
def test_strict_json_is_json(value: Any) -> None:
    read = json.loads(strict_json(value), parse_constant=refuse)
    assert repr(read) == repr(quoted(value))


def quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [quoted(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


@given(
    st.lists(st.tuples(st.integers(-5, 20), st.binary(max_size=3).map(bytes.hex).map(str.encode)), max_size=30),
    st.none() | st.integers(-10, 25),
    st.none() | st.integers(-10, 25),
    st.none() | st.integers(0, 40),
)
def test_windows(
    rows: list[tuple[int, bytes]], min_step: int | None, stop_step: int | None, samples: int | None
) -> None:
    kept = HistoryRows(rows)
    expected = sorted(rows, key=lambda row: row[0])
    assert list(kept.steps) == [step for step, _ in expected]
    wanted = [
        text
        for step, text in expected
        if (min_step is None or step >= min_step) and (stop_step is None or step < stop_step)
    ]
    window = kept.window(min_step, stop_step)
    assert len(window) == len(wanted)
    if samples is not None and len(wanted) > samples:
        wanted = [wanted[place] for place in even_places(len(wanted), samples)]
    assert kept.texts(window, samples) == b",".join(wanted)


@given(st.integers(1, 200), st.integers(0, 199))
def test_places_are_spread_evenly(count: int, samples: int) -> None:
    places = even_places(count, min(samples, count - 1))
    assert len(places) == min(samples, count - 1)
    assert places == sorted(set(places))
    if len(places) > 1:
        assert (places[0], places[-1]) == (0, count - 1)
        gaps = {later - earlier for earlier, later in pairwise(places)}
        assert max(gaps) - min(gaps) <= 1


def rows_of(size: int) -> HistoryRows:
    return HistoryRows([(0, b"x" * size)])


def test_cache_evicts_the_least_recently_used() -> None:
    cache = RowCache(3000)
    kept = {name: cache.get(name, lambda: rows_of(900)) for name in "abc"}
    assert cache.get("a", lambda: pytest.fail("a was there")) is kept["a"]
    cache.get("d", lambda: rows_of(900))
    assert cache.get("a", lambda: pytest.fail("a was used after b")) is kept["a"]
    assert cache.get("b", lambda: rows_of(900)) is not kept["b"]


def test_cache_keeps_the_last_rows_even_beyond_its_limit() -> None:
    cache = RowCache(10)
    large = cache.get("large", lambda: rows_of(5000))
    assert cache.get("large", lambda: pytest.fail("it was there")) is large
    cache.get("other", lambda: rows_of(1))
    assert cache.get("large", lambda: rows_of(5000)) is not large


def test_cache_counts_keys_and_empty_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = RowCache(3000)
    kept = {name: cache.get(name, lambda: rows_of(1), key_size=900) for name in "abcd"}
    assert cache.get("d", lambda: pytest.fail("it was there")) is kept["d"]
    assert cache.get("a", lambda: rows_of(1)) is not kept["a"]
    monkeypatch.setattr(history_rows, "MOST_CACHED", 2)
    cache = RowCache(1 << 20)
    kept = {name: cache.get(name, lambda: HistoryRows(())) for name in "abc"}
    assert cache.get("c", lambda: pytest.fail("it was there")) is kept["c"]
    assert cache.get("a", lambda: HistoryRows(())) is not kept["a"]


def test_cache_discards() -> None:
    cache = RowCache(1 << 20)
    first = cache.get("a", lambda: rows_of(1))
    cache.discard("a")
    cache.discard("nobody")
    assert cache.get("a", lambda: rows_of(1)) is not first


def test_rows_are_built_once_for_all_waiting_threads() -> None:
    cache = RowCache(1 << 20)
    begun, go_on = threading.Event(), threading.Event()
    built: list[int] = []
    found: list[HistoryRows] = []

    def build() -> HistoryRows:
        begun.set()
        assert go_on.wait(30)
        built.append(1)
        return rows_of(1)

    threads = [threading.Thread(target=lambda: found.append(cache.get("a", build))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(built) == 1
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_failed_build_is_not_cached() -> None:
    cache = RowCache(1 << 20)

    def fail() -> HistoryRows:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        cache.get("a", fail)
    assert len(cache.get("a", lambda: rows_of(1))) == 1
