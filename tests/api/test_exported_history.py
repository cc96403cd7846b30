"""Exported files are fetched without a key, cached while they are current, and combined with rows that are in none."""

from __future__ import annotations

import base64
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.api.exported import ExportedScan
from histscan.sources import exported_requests
from histscan.sources.exported_files import cache_folder, fetch_file
from histscan.sources.exported_requests import FileRequests
from tests.support.export_backend import KEY, Backend, parquet
from tests.support.graphql_server import Answer, Received, json_answer
from tests.support.graphql_server import serving as serving_answers
from tests.support.paths import EXAMPLE
from tests.support.served_runs import KEYS, LISSAJOUS, NESTED_KEYS, exported, same
from tests.support.server_process import ServerProcess, serving

LIVE_ROWS = 150
FILE_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.parquet")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache for each test, and no waits before retries."""
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(exported_requests, "pause", lambda _: None)
    return tmp_path / "cache"


@pytest.fixture(scope="module", params=[0, LIVE_ROWS])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """The example in three files: all of it, or all but its last rows."""
    with serving(EXAMPLE, "--export-rows", "2000", "--live-rows", str(request.param), "--api-key", KEY) as running:
        yield running


@pytest.fixture
def run(server: ServerProcess) -> histscan.Run:
    return histscan.Api(server.url, KEY).run(LISSAJOUS)


def assert_same_rows(rows: Any, expected: Any) -> None:
    assert same(exported(list(rows)), exported(list(expected)))


class TestAgainstLog:
    @pytest.mark.parametrize("keys", [None, KEYS, NESTED_KEYS, ["validation.r2.x"]])
    def test_rows(self, run: histscan.Run, keys: list[str] | None) -> None:
        expected = list(histscan.LogRun(EXAMPLE).scan_history(keys))
        ways: list[dict[str, Any]] = [{"source": "parquet"}, {"source": "auto"}, {}]
        for options in ways:
            scan = run.scan_history(keys, **options)
            assert isinstance(scan, ExportedScan)
            assert_same_rows(scan, expected)
            assert_same_rows(scan, expected)

    @pytest.mark.parametrize("steps", [(0, 10), (1_990, 2_010), (4_800, 4_900), (4_900, 9_999), (4_990, None), (7, 7)])
    def test_ranges(self, run: histscan.Run, steps: tuple[int, int | None]) -> None:
        expected = list(histscan.LogRun(EXAMPLE).scan_history(None, 1_000, *steps))
        assert_same_rows(run.scan_history(None, 1_000, *steps, source="parquet"), expected)
        assert bool(expected) == (steps != (7, 7))

    def test_any_key_comes_from_pages(self, run: histscan.Run) -> None:
        keys = ["weights.hidden1._type", "validation.r2.x"]
        rows = list(run.scan_history(keys, any_key=True, source="parquet"))
        assert rows == list(run.scan_history(keys, any_key=True))

    def test_columns(self, run: histscan.Run) -> None:
        scan = run.scan_history(source="parquet")
        rows = [{key: row.get(key) for key in KEYS} for row in scan]
        assert repr(scan.to_arrow(KEYS).to_pylist()) == repr(rows)
        assert repr(scan.to_polars(KEYS).to_dicts()) == repr(rows)
        batches = list(scan.batches(KEYS, rows=1_500))
        assert [batch.num_rows for batch in batches] == [1_500, 1_500, 1_500, 500]
        assert repr(pyarrow.Table.from_batches(batches).to_pylist()) == repr(rows)
        chosen = run.scan_history(["_step", "validation.r2.x"], source="parquet")
        assert chosen.to_arrow().column_names == ["_step", "validation.r2.x"]
        assert chosen.to_arrow().to_pylist() == list(chosen)
        # Rows continue where they were.
        begun = run.scan_history(KEYS, source="parquet")
        assert next(begun)["_step"] == 0
        assert begun.to_arrow().num_rows == 5_000
        assert next(begun)["_step"] == 1

    def test_files_are_downloaded_once(self, run: histscan.Run, server: ServerProcess, cache: Path) -> None:
        scan = run.scan_history(KEYS, source="parquet")
        assert not cache.exists()
        next(scan)
        kept = sorted(cache.iterdir())
        assert len(kept) == 3
        assert all(FILE_NAME.fullmatch(file.name) for file in kept)
        before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in kept]
        again = histscan.Api(server.url, KEY).run(LISSAJOUS)
        assert len(list(again.scan_history(KEYS, source="parquet"))) == 5_000
        assert sorted(cache.iterdir()) == kept
        assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in kept] == before


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving_answers(lambda _: Answer(b"")) as server:
        yield Backend(server)


class TestJoin:
    def test_files_and_pages(self, backend: Backend) -> None:
        assert backend.rows() == "fffppppppp"
        assert backend.rows("auto") == "fffppppppp"
        assert backend.rows("pages") == "p" * 10

    def test_everything_is_exported(self, backend: Backend) -> None:
        backend.files["/two"] = Answer(parquet(range(2, 10)))
        backend.live = []
        assert backend.rows() == "f" * 10
        assert "HistoryPage" not in [request.operation for request in backend.server.received if request.payload]

    def test_step_that_is_live_though_later_ones_are_exported(self, backend: Backend) -> None:
        backend.files["/two"] = Answer(parquet(range(6, 10)))
        backend.live = [3, 4, 5]
        assert backend.rows() == "fffppppppp"

    def test_rows_that_came_while_files_were_asked_for(self, backend: Backend) -> None:
        backend.live = []
        assert backend.rows() == "fffppppppp"

    def test_files_without_rows(self, backend: Backend) -> None:
        backend.files = {"/one": Answer(parquet(range(0)))}
        assert backend.rows() == "p" * 10

    def test_early_stop_and_fresh_start(self, backend: Backend) -> None:
        scan = backend.scan()
        assert [next(scan)["a"] for _ in range(5)] == ["file 0", "file 1", "file 2", "page 3", "page 4"]
        assert next(iter(scan))["a"] == "file 0"
        scan.rows = []
        assert next(scan)["a"] == "page 3"


class TestNoExports:
    @pytest.mark.parametrize("source", ["parquet", "auto"])
    @pytest.mark.parametrize(
        "answer",
        [
            {"data": {"project": {"run": {"parquetHistory": None}}}},
            {"data": {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}},
            {"errors": [{"message": 'Cannot query field "parquetHistory" on type "Run".'}]},
        ],
    )
    def test_pages_are_read_instead(self, backend: Backend, source: str, answer: Any) -> None:
        backend.exports = lambda: json_answer(answer)
        assert backend.rows(source) == "p" * 10

    def test_pyarrow_is_missing(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise ImportError("no pyarrow here")

        monkeypatch.setattr("histscan.api.exported.import_parquet", fail)
        assert backend.rows("auto") == "p" * 10
        with pytest.raises(ImportError, match="no pyarrow here"):
            next(backend.scan())

    @pytest.mark.parametrize("shape", [{}, {"parquetUrls": 3, "liveData": []}, {"parquetUrls": [], "liveData": [{}]}])
    def test_answer_of_another_shape(self, backend: Backend, shape: Any) -> None:
        backend.exports = lambda: backend.of_run(parquetHistory=shape)
        assert backend.rows("auto") == "p" * 10
        with pytest.raises(histscan.ResponseShapeError, match="`parquetHistory`"):
            next(backend.scan())

    def test_source_that_is_none(self, backend: Backend) -> None:
        with pytest.raises(ValueError, match="source must be 'pages', 'parquet' or 'auto'"):
            backend.scan("files")


class TestDownload:
    def test_key_and_password_stay_at_home(
        self, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login user password other\ndefault login user password other\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert backend.rows() == "fffppppppp"
        expected = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
        for request in backend.server.received:
            assert request.headers.get("Authorization") == (expected if request.payload else None)
        assert [request.path.partition("?")[0] for request in backend.downloads] == ["/one"]

    @pytest.mark.parametrize("status", [301, 302, 403, 404, 503])
    def test_refusals_tell_no_secret(self, backend: Backend, cache: Path, status: int) -> None:
        backend.files = {"/one": Answer(b"secret", status, {"Location": f"{backend.server.url}/two"})}
        with pytest.raises(histscan.HistoryRequestError, match=f"127.0.0.1.* answered HTTP {status}") as caught:
            next(backend.scan())
        error = caught.value
        assert "secret" not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
        assert len(backend.downloads) == (5 if status == 503 else 1)
        assert not cache.exists()
        with pytest.warns(histscan.ExportWarning, match=f"answered HTTP {status}") as warned:
            assert backend.rows("auto") == "p" * 10
        assert "secret" not in str(warned[0].message)

    def test_nobody_waits_for_the_other_files(self, backend: Backend, cache: Path) -> None:
        requested, released, answered = threading.Event(), threading.Event(), threading.Event()

        def respond(request: Received) -> Answer:
            if request.path.startswith("/one"):
                # Otherwise the other file might not be requested at all.
                requested.wait(timeout=60)
            if not request.path.startswith("/slow"):
                return backend.respond(request)
            requested.set()
            released.wait(timeout=60)
            answered.set()
            return Answer(parquet(range(3)), headers={"ETag": '"1"'})

        backend.files = {"/one": Answer(b"", 404), "/slow": Answer(b"")}
        backend.server.respond = respond
        try:
            with pytest.raises(histscan.HistoryRequestError, match="answered HTTP 404"):
                next(backend.scan())
            assert not answered.is_set()
        finally:
            released.set()
        assert answered.wait(timeout=60)
        # Its late answer is dropped.
        for thread in threading.enumerate():
            if thread.name.startswith("histscan-download"):
                thread.join(timeout=60)
        assert not cache.exists() or list(cache.iterdir()) == []

    def test_failure_that_passes(self, backend: Backend) -> None:
        def respond(request: Received) -> Answer:
            return Answer(b"", 503) if not request.payload and len(backend.downloads) < 3 else backend.respond(request)

        backend.server.respond = respond
        assert backend.rows() == "fffppppppp"
        assert len(backend.downloads) == 3

    def test_file_that_ends_early_is_not_kept(self, backend: Backend, cache: Path) -> None:
        whole = backend.files["/one"]
        backend.files["/one"] = Answer(whole.body[:-5], headers=whole.headers, length=len(whole.body))
        with pytest.raises(histscan.HistoryRequestError, match="could not be read from") as caught:
            next(backend.scan())
        assert "secret" not in f"{caught.value} {caught.value.__context__!r}"
        assert list(cache.iterdir()) == []
        scan = backend.scan()
        for _ in range(2):
            # A further next() must not report the end.
            with pytest.raises(histscan.HistoryRequestError, match="could not be read from"):
                next(scan)
        backend.files["/one"] = whole
        assert backend.rows() == "fffppppppp"

    def test_file_of_something_else(self, backend: Backend) -> None:
        backend.files["/one"] = Answer(b"<html>hello</html>")
        with pytest.raises(histscan.HistoryDecodeError, match="not a Parquet file"):
            next(backend.scan())
        with pytest.warns(histscan.ExportWarning, match="not a Parquet file"):
            assert backend.rows("auto") == "p" * 10

    @pytest.mark.parametrize(
        "url",
        [
            *("file:///etc/passwd", "ftp://example.com/a", "/one", "", "https://", "https://[", "https://u:p@a.b/"),
            "http://files.example.com/a?signature=secret",
        ],
    )
    def test_addresses_that_are_not_asked(self, cache: Path, url: str) -> None:
        with pytest.raises(histscan.HistoryRequestError) as caught:
            fetch_file(FileRequests(url), cache)
        assert "secret" not in str(caught.value)
        assert "u:p" not in str(caught.value)


class TestCache:
    def test_version_that_is_there_is_not_sent_again(self, backend: Backend, cache: Path) -> None:
        assert backend.rows() == "fffppppppp"
        (file,) = cache.iterdir()
        damaged = bytes(file.stat().st_size)
        file.write_bytes(damaged)
        with pytest.raises(histscan.HistoryDecodeError, match="not a Parquet file"):
            next(backend.scan())
        assert file.read_bytes() == damaged

    def test_new_version(self, backend: Backend, cache: Path) -> None:
        assert backend.rows() == "fffppppppp"
        (old,) = cache.iterdir()
        backend.files["/one"] = Answer(parquet(range(5)), headers={"ETag": '"2"'})
        backend.live = list(range(5, 10))
        assert backend.rows() == "fffffppppp"
        assert len(list(cache.iterdir())) == 2
        os.utime(old, (time.time() - 90_000,) * 2)
        backend.files["/one"] = Answer(parquet(range(6)), headers={"ETag": '"3"'})
        backend.live = list(range(6, 10))
        assert backend.rows() == "ffffffpppp"
        assert len(list(cache.iterdir())) == 2
        assert not old.exists()

    def test_file_of_another_size_is_fetched_again(self, backend: Backend, cache: Path) -> None:
        assert backend.rows() == "fffppppppp"
        (file,) = cache.iterdir()
        file.write_bytes(file.read_bytes()[:-1])
        assert backend.rows() == "fffppppppp"

    def test_file_without_a_tag_is_fetched_each_time(self, backend: Backend, cache: Path) -> None:
        backend.files["/one"] = Answer(parquet(range(3)))
        assert backend.rows() == "fffppppppp"
        (file,) = cache.iterdir()
        file.write_bytes(bytes(file.stat().st_size))
        assert backend.rows() == "fffppppppp"
        assert list(cache.iterdir()) == [file]

    def test_only_the_user_may_look(self, backend: Backend, cache: Path) -> None:
        assert backend.rows() == "fffppppppp"
        assert cache.stat().st_mode & 0o777 == 0o700

    def test_place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert cache_folder() == tmp_path / "cache"
        monkeypatch.delenv("HISTSCAN_CACHE_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
        assert cache_folder() == tmp_path / "users" / "histscan"
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for value in ("", "relative"):
            monkeypatch.setenv("XDG_CACHE_HOME", value)
            assert cache_folder() == tmp_path / "home" / ".cache" / "histscan"
