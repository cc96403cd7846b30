"""Limits on what one answer, one file and one row group may take: small bodies can be decompressed to large ones."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.errors import ExportWarning, HistoryError, HistoryRequestError
from histscan.history import HistoryScan
from histscan.sources import answers
from histscan.sources.client import Client
from histscan.sources.limits import MAX_ANSWER, readable_size
from tests.support.client_answers import KEY, QUERY
from tests.support.export_backend import Backend, parquet
from tests.support.graphql_server import Answer, GraphQLServer, answer_from, compressed
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows
from tests.support.retrying_client import retrying_client

BOMB = compressed(Answer(b'{"data": {"a": "' + b"x" * (16 << 20) + b'"}}'))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def peak_of(call: Any) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Answers


def test_answer_larger_than_allowed(server: GraphQLServer, waits: list[float]) -> None:
    assert len(BOMB.body) < 50_000
    server.respond = lambda request: BOMB
    client = Client(server.url, KEY, max_answer=1 << 20)

    def execute() -> None:
        with pytest.raises(HistoryRequestError, match=r"larger than 1MB, decompressed: .*HISTSCAN_MAX_ANSWER=2M"):
            client.execute(QUERY)

    assert peak_of(execute) < 14 << 20
    assert len(server.received) == 1
    assert waits == []


def test_larger_answers_can_be_allowed(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond = lambda request: BOMB
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", "1M")
    with pytest.raises(HistoryRequestError, match="larger than 1MB"):
        histscan.Api(server.url, KEY).client.execute(QUERY)
    assert len(histscan.Api(server.url, KEY, max_answer=17 << 20).client.execute(QUERY)["a"]) == 16 << 20
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", "17MiB")
    assert len(Client(server.url, KEY).execute(QUERY)["a"]) == 16 << 20


@pytest.mark.parametrize("excess", [0, 1])
def test_limit_is_exact(server: GraphQLServer, excess: int) -> None:
    server.respond = lambda request: Answer(b'{"data": {}}' + b" " * 1_000)
    client = Client(server.url, KEY, max_answer=1_012 - excess)
    if excess:
        with pytest.raises(HistoryRequestError, match="larger than 1011B"):
            client.execute(QUERY)
    else:
        assert client.execute(QUERY) == {}


def test_urllib3_that_decompresses_all_it_has_read(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_decompresses_in_parts", lambda: False)
    server.respond = lambda request: BOMB
    with pytest.raises(HistoryRequestError, match="larger than 1MB"):
        Client(server.url, KEY, max_answer=1 << 20).execute(QUERY)
    assert len(Client(server.url, KEY).execute(QUERY)["a"]) == 16 << 20


def test_errors_are_read_in_part(server: GraphQLServer) -> None:
    body = gzip.compress(json.dumps({"errors": [{"message": "x" * (32 << 20)}]}).encode())
    server.respond = lambda request: Answer(body, 400, {"Content-Encoding": "gzip"})

    def execute() -> None:
        with pytest.raises(HistoryRequestError, match="HTTP 400") as failure:
            Client(server.url, KEY).execute(QUERY)
        assert len(str(failure.value)) < 1_000

    assert peak_of(execute) < 24 << 20


def test_wandbs_client(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb_errors = pytest.importorskip("wandb.errors")
    backend = HistoryBackend(training_rows(range(200)))
    plain = answer_from(backend)
    server.respond = lambda request: compressed(plain(request))
    scan = HistoryScan(retrying_client(server.url), RUN, 0, 200)
    assert row_texts(scan) == row_texts(backend.rows)
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", "4K")
    with pytest.raises((HistoryError, wandb_errors.CommError), match="HISTSCAN_MAX_ANSWER"):
        list(HistoryScan(retrying_client(server.url), RUN, 0, 200))


@pytest.mark.parametrize("text", ["much", "-1", "0", "1.5G", "9" * 30, "\x1b[31m"])
def test_sizes_that_are_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", text)
    with pytest.raises(HistoryError, match="HISTSCAN_MAX_ANSWER is not a size such as 500M") as failure:
        Client("http://127.0.0.1:1", KEY)
    assert str(failure.value).isprintable()


def test_arguments_that_are_no_sizes() -> None:
    with pytest.raises(ValueError, match="positive"):
        Client("http://127.0.0.1:1", KEY, max_file=0)


@pytest.mark.parametrize("size", [1, 1_023, 1 << 10, 3 << 20, 512 << 20, 16 << 30, 5 << 40, (1 << 30) + 1])
def test_messages_have_sizes_that_can_be_set(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", readable_size(size))
    assert MAX_ANSWER.find() == size


def test_limits_travel_in_pickles() -> None:
    client = pickle.loads(pickle.dumps(Client("http://127.0.0.1:1", KEY, max_answer=7, max_file=8)))
    assert (client.max_answer, client.max_file) == (7, 8)


# Exported files


@pytest.fixture
def backend(server: GraphQLServer) -> Backend:
    return Backend(server)


def scan_of(backend: Backend, **options: Any) -> Any:
    run = histscan.Api(backend.server.url, KEY, **options).run("e/p/r")
    return run.scan_history(page_size=3, source="parquet")


@pytest.mark.parametrize("by_argument", [True, False])
def test_file_larger_than_allowed(
    backend: Backend, cache: Path, monkeypatch: pytest.MonkeyPatch, by_argument: bool
) -> None:
    options = {"max_file": 100} if by_argument else {}
    if not by_argument:
        monkeypatch.setenv("HISTSCAN_MAX_FILE", "100")
    with pytest.raises(HistoryRequestError, match=r"more than 100B: .*`max_file` or HISTSCAN_MAX_FILE="):
        list(scan_of(backend, **options))
    assert len(backend.downloads) == 1
    assert not cache.exists() or not list(cache.iterdir())
    assert len(list(scan_of(backend, max_file=1 << 20))) == 10


def test_pages_are_read_instead_of_a_file_that_is_too_large(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTSCAN_MAX_FILE", "100")
    with pytest.warns(ExportWarning, match="HISTSCAN_MAX_FILE"):
        assert backend.rows("auto") == "p" * 10


def test_compressed_files_are_refused(backend: Backend, cache: Path) -> None:
    body = gzip.compress(parquet(range(3)))
    backend.files["/one"] = Answer(body, headers={"ETag": '"1"', "Content-Encoding": "gzip"})
    with pytest.raises(HistoryRequestError, match=r"sent it compressed \(gzip\)"):
        list(backend.scan())
    assert all(request.headers["Accept-Encoding"] == "identity" for request in backend.downloads)
    assert len(backend.downloads) == 1
    assert not cache.exists() or not list(cache.iterdir())


# Parquet files


def equal_rows(rows: int, **columns: pyarrow.DataType) -> bytes:
    """A small file with many rows."""
    steps = pyarrow.repeat(pyarrow.scalar(7, pyarrow.int64()), rows)
    table = pyarrow.table({"_step": steps, **{name: pyarrow.nulls(rows, kind) for name, kind in columns.items()}})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd", row_group_size=rows)
    return file.getvalue()


def test_rows_that_take_no_room_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.parquet"
    path.write_bytes(equal_rows(2_000_000, a=pyarrow.float64(), b=pyarrow.float64()))
    assert path.stat().st_size < 100_000
    monkeypatch.setenv("HISTSCAN_MAX_ROW_GROUP", "40M")
    before = pyarrow.total_allocated_bytes()
    with pytest.raises(HistoryError, match=r"row group 0 take 2,000,000 rows .* set HISTSCAN_MAX_ROW_GROUP=64M"):
        histscan.open(path).to_arrow()
    assert pyarrow.total_allocated_bytes() - before < 1 << 20
    # The columns that are read count, not those of the file.
    assert len(histscan.open(path).to_arrow(["_step", "a"])) == 2_000_000
    monkeypatch.setenv("HISTSCAN_MAX_ROW_GROUP", "64M")
    assert histscan.open(path).to_arrow().num_rows == 2_000_000


def test_values_of_lists_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.parquet"
    table = pyarrow.table({"_step": [0], "a": pyarrow.array([[None] * 1_000_000], pyarrow.list_(pyarrow.float64()))})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    monkeypatch.setenv("HISTSCAN_MAX_ROW_GROUP", "4M")
    with pytest.raises(HistoryError, match="HISTSCAN_MAX_ROW_GROUP=8M"):
        histscan.open(path).to_arrow()
    assert list(histscan.open(path).scan_history(keys=["_step"])) == [{"_step": 0}]
    monkeypatch.setenv("HISTSCAN_MAX_ROW_GROUP", "8M")
    assert len(histscan.open(path).to_arrow()) == 1


@pytest.mark.parametrize("claimed", [b"\x05", b"\x7e"])
def test_numbers_of_rows_that_are_not_possible(tmp_path: Path, claimed: bytes) -> None:
    """Both are thrift's: -3 and 63 in place of 3."""
    content = parquet(range(3))
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length :]
    place = footer.index(b"\x16\x06")
    # The first one is that of the whole file or of the row group: they differ from now on.
    last = footer.rindex(b"\x16\x06", 0, -100)
    assert place <= last
    path = tmp_path / "history.parquet"
    changed = footer[:last] + b"\x16" + claimed + footer[last + 2 :]
    path.write_bytes(content[: -8 - length] + changed)
    with pytest.raises(HistoryError, match=r"corrupt|not a Parquet file"):
        list(histscan.open(path).scan_history())


# Lines


def test_lines_longer_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.jsonl.gz"
    row = b'{"_step": 0}\n'
    path.write_bytes(gzip.compress(row + b'{"_step": 1, "a": "' + b"x" * (32 << 20) + b'"}\n' + row))
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", "2M")
    scan = histscan.open(path).scan_history()
    assert next(scan) == {"_step": 0}

    def go_on() -> None:
        with pytest.raises(HistoryError, match=r"line 2: it is longer than 2MB.*HISTSCAN_MAX_ANSWER=4M"):
            next(scan)

    assert peak_of(go_on) < 16 << 20
    monkeypatch.setenv("HISTSCAN_MAX_ANSWER", "64M")
    assert [row["_step"] for row in histscan.open(path).scan_history()] == [0, 1, 0]
