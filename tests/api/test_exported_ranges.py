"""Only the wanted columns of large exported files are fetched; a file that changes or is inconsistent is an error."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.runs.parquet_run import ParquetScan
from histscan.sources import exported_ranges, exported_requests
from histscan.sources.exported_files import fetch_file
from histscan.sources.exported_ranges import open_by_ranges
from histscan.sources.exported_requests import FileRequests
from histscan.sources.parquet import ParquetSource
from tests.support.graphql_server import Answer, GraphQLServer, Received, serving
from tests.support.paths import EXAMPLE
from tests.support.served_runs import LISSAJOUS
from tests.support.server_process import serving as serving_runs

GROUPS, GROUP_ROWS, COLUMNS = 4, 2_000, 20
KEYS = ["_step", "metric_07", "deep.inner.x", "note"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache for each test, no waits before retries, and small files treated as large ones."""
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(exported_requests, "pause", lambda _: None)
    monkeypatch.setattr(exported_ranges, "_SMALLEST_SIZE", 100_000)
    monkeypatch.setattr(exported_ranges, "_LARGEST_GAP", 1_000)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def parquet() -> bytes:
    """A file of four row groups; steps rise by 2."""
    rows = GROUPS * GROUP_ROWS
    columns: dict[str, Any] = {"_step": range(0, 2 * rows, 2)}
    for column in range(COLUMNS):
        columns[f"metric_{column:02}"] = [((step * 7_919 + column) % 10_007) / 3 for step in range(rows)]
    columns["note"] = [f"note {step}" if step % 3 else None for step in range(rows)]
    columns["deep"] = [{"inner": {"x": step / 7, "y": step}, "z": str(step)} for step in range(rows)]
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.table({k: list(v) for k, v in columns.items()}), file, row_group_size=GROUP_ROWS
    )
    return file.getvalue()


class RangeServer:
    """Sends a file and ranges of it; tests can change what it sends."""

    def __init__(self, server: GraphQLServer, body: bytes) -> None:
        self.server = server
        self.body = body
        self.tag = '"1"'
        self.sent: list[int] = []
        self.change: Callable[[Received, Answer], Answer] = lambda _, answer: answer
        server.respond = self.respond

    @property
    def url(self) -> str:
        return f"{self.server.url}/file?signature=secret"

    def respond(self, request: Received) -> Answer:
        answer = self.change(request, self.answer(request.headers.get("Range")))
        self.sent.append(len(answer.body))
        return answer

    def answer(self, wanted: str | None) -> Answer:
        headers = {"ETag": self.tag} if self.tag else {}
        if wanted is None:
            return Answer(self.body, headers=headers)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
        assert found is not None
        first, last = found.groups()
        begin = int(first) if first else max(0, len(self.body) - int(last))
        stop = int(last) + 1 if first else len(self.body)
        headers["Content-Range"] = f"bytes {begin}-{stop - 1}/{len(self.body)}"
        return Answer(self.body[begin:stop], 206, headers)

    def open(self, keys: list[str], retries: int = 4) -> ParquetSource | None:
        return open_by_ranges(FileRequests(self.url, allow_http=True, retries=retries), folder(), keys=keys)

    def scan(self, keys: list[str], **options: Any) -> ParquetScan:
        source = self.open(keys)
        assert source is not None
        return ParquetScan([source], keys=keys, path=Path("e/p/r"), **options)


def folder() -> Path:
    from histscan.sources.exported_files import cache_folder

    return cache_folder()


@pytest.fixture
def remote(parquet: bytes) -> Iterator[RangeServer]:
    with serving(lambda _: Answer(b"")) as server:
        yield RangeServer(server, parquet)


@pytest.fixture
def local(tmp_path: Path, parquet: bytes) -> Callable[..., ParquetScan]:
    """Scans the same file on this machine: the oracle."""
    path = tmp_path / "whole.parquet"
    path.write_bytes(parquet)

    def scan(keys: list[str], **options: Any) -> ParquetScan:
        return ParquetScan([ParquetSource.of_file(path)], keys=keys, path=path, **options)

    return scan


class TestRows:
    @pytest.mark.parametrize(
        "keys",
        [
            KEYS,
            ["metric_00"],
            ["note"],
            ["deep.z"],
            ["deep.inner.y", "metric_19"],
            ["_step"],
            ["absent"],
            ["deep.absent"],
        ],
        ids=str,
    )
    def test_as_of_the_whole_file(
        self, remote: RangeServer, local: Callable[..., ParquetScan], cache: Path, keys: list[str]
    ) -> None:
        expected = list(local(keys))
        scan = remote.scan(keys)
        assert list(scan) == expected
        assert list(scan) == expected
        if "absent" in keys[0]:
            for unknown in (scan, local(keys)):
                with pytest.raises(histscan.UnknownKeyError, match=keys[0]):
                    unknown.to_arrow()
        else:
            assert scan.to_arrow().equals(local(keys).to_arrow())
        # Three passes, and still less than the file.
        assert sum(remote.sent) < len(remote.body)
        assert not cache.exists()

    def test_only_the_row_groups_of_the_steps(self, remote: RangeServer, local: Callable[..., ParquetScan]) -> None:
        bounds = {"min_step": 4_100, "stop_step": 4_200}
        scan = remote.scan(["metric_07"], **bounds)
        assert len(remote.sent) == 1
        assert list(scan) == list(local(["metric_07"], **bounds))
        few = remote.sent.copy()
        list(remote.scan(["metric_07"]))
        assert sum(few[1:]) * GROUPS == pytest.approx(sum(remote.sent[len(few) + 1 :]), rel=0.1)

    def test_what_lies_together_is_one_request(
        self, remote: RangeServer, monkeypatch: pytest.MonkeyPatch, local: Callable[..., ParquetScan]
    ) -> None:
        keys = ["metric_03", "metric_04", "metric_05"]
        assert list(remote.scan(keys)) == list(local(keys))
        # The end, and for each row group the steps and the metrics.
        assert len(remote.sent) == 1 + 2 * GROUPS
        monkeypatch.setattr(exported_ranges, "_LARGEST_GAP", 100_000)
        remote.sent.clear()
        assert list(remote.scan(keys)) == list(local(keys))
        assert len(remote.sent) == 1 + GROUPS

    def test_long_footer(self, remote: RangeServer) -> None:
        columns = {f"column {column:03} {'long name ' * 10}": range(500) for column in range(400)}
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"_step": range(500), **columns}), file)
        remote.body = file.getvalue()
        name = min(columns)
        assert list(remote.scan([name])) == [{name: step} for step in range(500)]
        assert len(remote.sent) == 3
        assert remote.sent[0] == 1 << 16
        assert remote.sent[1] == int.from_bytes(remote.body[-8:-4], "little") + 8 > 1 << 16

    def test_no_key_goes_there(self, remote: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("default login user password other\n")
        monkeypatch.setenv("NETRC", str(netrc))
        list(remote.scan(KEYS))
        assert all("Authorization" not in request.headers for request in remote.server.received)


class TestWholeFile:
    """Files that are downloaded instead."""

    def test_small_file(self, remote: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exported_ranges, "_SMALLEST_SIZE", len(remote.body) + 1)
        assert remote.open(KEYS) is None
        assert len(remote.sent) == 1

    def test_most_of_it_is_wanted(self, remote: RangeServer) -> None:
        assert remote.open([f"metric_{column:02}" for column in range(COLUMNS)]) is None

    def test_server_without_ranges(self, remote: RangeServer) -> None:
        remote.change = lambda _, answer: Answer(remote.body, headers=answer.headers)
        assert remote.open(KEYS) is None

    def test_server_that_refuses_the_range(self, remote: RangeServer) -> None:
        remote.change = lambda _, answer: Answer(b"", 416)
        assert remote.open(KEYS) is None

    def test_versions_that_nobody_can_tell_apart(self, remote: RangeServer) -> None:
        remote.tag = ""
        assert remote.open(KEYS) is None

    def test_it_is_in_the_cache(self, remote: RangeServer, local: Callable[..., ParquetScan], cache: Path) -> None:
        kept = fetch_file(FileRequests(remote.url, allow_http=True), cache)
        assert kept.read_bytes() == remote.body
        remote.sent.clear()
        assert list(remote.scan(KEYS)) == list(local(KEYS))
        assert len(remote.sent) == 1
        remote.tag = '"2"'
        assert list(remote.scan(KEYS)) == list(local(KEYS))
        assert len(remote.sent) > 3


class TestFaults:
    @pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "Thu, 01 Jan 2026 00:00:00 GMT"])
    def test_file_that_changes(self, remote: RangeServer, tag: str) -> None:
        name = "ETag" if '"' in tag else "Last-Modified"
        now = tag

        def change(_: Received, answer: Answer) -> Answer:
            headers = {key: value for key, value in answer.headers.items() if key != "ETag"}
            return Answer(answer.body, answer.status, headers | {name: now})

        remote.change = change
        scan = remote.scan(["metric_07"])
        assert next(scan)["metric_07"] == 7 / 3
        now = tag.replace("1", "3")
        for _ in range(2):
            with pytest.raises(histscan.HistoryError, match="changed while it was being read: scan it again") as caught:
                list(iter(scan))
            assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("size", [-1, 1])
    def test_file_of_another_size(self, remote: RangeServer, size: int) -> None:
        scan = remote.scan(["metric_07"])
        remote.change = lambda _, answer: Answer(
            answer.body,
            206,
            answer.headers
            | {"Content-Range": re.sub(r"\d+$", str(len(remote.body) + size), answer.headers["Content-Range"])},
        )
        with pytest.raises(histscan.HistoryError, match="changed while it was being read"):
            next(scan)

    def test_server_that_gives_the_whole_file_at_once(self, remote: RangeServer) -> None:
        scan = remote.scan(["metric_07"])
        remote.change = lambda _, answer: Answer(remote.body, headers={"ETag": remote.tag})
        with pytest.raises(histscan.HistoryError, match="changed while it was being read"):
            next(scan)

    @pytest.mark.parametrize(
        "content_range",
        [
            "",
            "bytes */100",
            "bytes 0-1/2",
            "bytes 5-4/{size}",
            "bytes 0-{size}/{size}",
            "bytes {n}-{n}/{size}",
            "x" * 99,
        ],
    )
    def test_wrong_range(self, remote: RangeServer, content_range: str) -> None:
        said = content_range.format(size=len(remote.body), n="9" * 30)
        remote.change = lambda _, answer: Answer(answer.body, 206, answer.headers | {"Content-Range": said})
        with pytest.raises(histscan.HistoryRequestError, match="could not be read from") as caught:
            remote.open(KEYS)
        assert "secret" not in f"{caught.value} {caught.value.__context__!r} {caught.value.__cause__!r}"
        assert len(remote.sent) == 5

    def test_other_part_than_was_asked_for(self, remote: RangeServer) -> None:
        scan = remote.scan(["metric_07"])
        remote.change = lambda _, answer: remote.answer("bytes=0-99")
        with pytest.raises(histscan.HistoryRequestError, match="could not be read from"):
            next(scan)

    @pytest.mark.parametrize("missing", [1, -1])
    def test_answer_of_another_length(self, remote: RangeServer, missing: int) -> None:
        scan = remote.scan(["metric_07"])
        remote.change = lambda _, answer: Answer(
            (answer.body + b"?")[:-missing] if missing > 0 else answer.body + b"?", 206, answer.headers
        )
        if missing > 0:
            remote.change = lambda _, answer: Answer(answer.body[:-1], 206, answer.headers)
        for _ in range(2):
            # A further next() must not report the end.
            with pytest.raises(histscan.HistoryRequestError, match="could not be read from"):
                next(scan)

    def test_answer_that_breaks_off(self, remote: RangeServer, local: Callable[..., ParquetScan]) -> None:
        scan = remote.scan(["metric_07"])
        broken: list[int] = []

        def change(_: Received, answer: Answer) -> Answer:
            broken.append(1)
            if len(broken) % 2:
                return Answer(answer.body[:-7], 206, answer.headers, length=len(answer.body))
            return answer

        remote.change = change
        assert list(scan) == list(local(["metric_07"]))
        assert len(broken) >= 2 * GROUPS

    def test_failure_that_passes(self, remote: RangeServer, local: Callable[..., ParquetScan]) -> None:
        remote.change = lambda _, answer: Answer(b"", 503) if len(remote.sent) % 3 else answer
        assert list(remote.scan(KEYS)) == list(local(KEYS))

    @pytest.mark.parametrize("status", [302, 403, 404])
    def test_refusal(self, remote: RangeServer, status: int) -> None:
        scan = remote.scan(["metric_07"])
        sent = len(remote.sent)
        remote.change = lambda _, answer: Answer(b"secret", status, {"Location": remote.url})
        with pytest.raises(histscan.HistoryRequestError, match=f"answered HTTP {status}") as caught:
            next(scan)
        assert "secret" not in str(caught.value)
        assert len(remote.sent) == sent + 1

    @pytest.mark.parametrize("length", [0, 1, 2**31, 2**32 - 1])
    def test_footer_that_lies_about_its_length(self, remote: RangeServer, length: int) -> None:
        remote.body = remote.body[:-8] + length.to_bytes(4, "little") + b"PAR1"
        with pytest.raises(histscan.HistoryDecodeError, match="not a Parquet file"):
            remote.open(KEYS)
        assert sum(remote.sent) <= 1 << 16

    def test_something_else(self, remote: RangeServer) -> None:
        remote.body = b"<html>" * 100_000
        with pytest.raises(histscan.HistoryDecodeError, match="not a Parquet file"):
            remote.open(KEYS)

    def test_damaged_column(self, remote: RangeServer, local: Callable[..., ParquetScan]) -> None:
        scan = remote.scan(["metric_07"])
        remote.change = lambda _, answer: Answer(bytes(len(answer.body)), 206, answer.headers)
        with pytest.raises(histscan.HistoryDecodeError, match="it is corrupt"):
            next(scan)


def test_real_server(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    keys = ["_step", "loss"]
    expected = list(histscan.LogRun(EXAMPLE).scan_history(keys))
    with serving_runs(EXAMPLE, "--export=all") as server:
        run = histscan.Api(server.url).run(LISSAJOUS)
        assert list(run.scan_history(keys, source="parquet")) == expected
        by_ranges = server.traffic()["bytes_sent"]
        assert run.scan_history(source="parquet").to_arrow(keys).to_pylist() == expected
        assert not cache.exists()
        server.forget_traffic()
        assert len(list(run.scan_history(source="parquet"))) == len(expected)
        assert len(list(cache.iterdir())) == 1
        assert by_ranges < server.traffic()["bytes_sent"] / 3
