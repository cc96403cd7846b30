"""What fails is reported as it is: by any ``Retry-After``, with any names, and where cleaning up fails as well."""

from __future__ import annotations

import base64
import io
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

import histscan
from histscan.errors import HistoryDecodeError, HistoryError, HistoryRequestError
from histscan.sources.client import Client
from histscan.sources.parquet import ParquetSource
from histscan.sources.retry import RetryPolicy, requested_wait
from tests.support.client_answers import KEY, QUERY
from tests.support.export_backend import parquet
from tests.support.graphql_server import Answer, GraphQLServer

# Retry-After

DATES = st.sampled_from(
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wednesday, 21-Oct-15 07:28:00 GMT",
        "Wed Oct 21 07:28:00 2015",
        "21 Oct 2015 07:28:00 +9999999999",
        "Wed, 00 Foo -1 99:99:99",
        "2015-10-21T07:28:00Z",
        " , : :",
    ]
)
HEADER_VALUES = st.one_of(
    DATES,
    st.integers(-(10**400), 10**400).map(str),
    st.floats().map(str),
    # As http.client decodes headers.
    st.binary(max_size=60).map(lambda data: data.decode("latin-1")),
    st.text("0123456789.:,-+ eEGMTWOct\xa0\xb2\xff", max_size=40),
)


@given(HEADER_VALUES, HEADER_VALUES, st.sampled_from(["0", "5", " 0 ", "", "\xb2"]))
@example("1" * 5_000, "1" * 5_000, "0")
@example("1e999", "1e999", "0")
@example("\xff\xfe", "\xb2", "0")
def test_any_requested_delay_is_bounded(retry_after: str, reset: str, remaining: str) -> None:
    headers = CaseInsensitiveDict(
        {"Retry-After": retry_after, "RateLimit-Reset": reset, "RateLimit-Remaining": remaining}
    )
    requested = requested_wait(headers)
    assert requested is None or requested >= 0.0
    policy = RetryPolicy(retries=3, longest_wait=60.0)
    for status in (429, 503):
        wait = policy.wait_after_status(0, status, headers)
        assert wait is None or 0.0 <= wait <= 60.0
    assert policy.wait_after_status(3, 429, headers) is None


@pytest.mark.parametrize("value", ["-1", "1e400", "nan", "\xff\xfe\x80", "0x10", "", "soon", "9" * 6_000, "-inf"])
def test_answers_with_any_delay(server: GraphQLServer, waits: list[float], value: str) -> None:
    server.respond = lambda request: Answer(b"{}", 429, {"Retry-After": value.encode().decode("latin-1")})
    with pytest.raises(HistoryRequestError, match=r"HTTP 429 .*the rate limit is exceeded") as failure:
        Client(server.url, KEY, retries=2).execute(QUERY)
    assert len(str(failure.value)) < 500
    assert all(math.isfinite(wait) and 0 <= wait <= 60 for wait in waits)


# Names that are not UTF-8


def renamed(schema: pyarrow.Schema, name: bytes, other: bytes) -> bytes:
    file = io.BytesIO()
    table = pyarrow.Table.from_pylist([{"_step": 1}, {"_step": 2}], schema=schema)
    pyarrow.parquet.write_table(table, file, store_schema=False)
    content = file.getvalue()
    assert name in content
    return content.replace(name, other)


@pytest.mark.parametrize(
    "schema",
    [
        pyarrow.schema([("_step", pyarrow.int64()), ("nnnn", pyarrow.float64())]),
        pyarrow.schema([("_step", pyarrow.int64()), ("a", pyarrow.struct([("nnnn", pyarrow.float64())]))]),
        pyarrow.schema([("_step", pyarrow.int64()), ("nnnn", pyarrow.list_(pyarrow.float64()))]),
    ],
    ids=["column", "member", "list"],
)
def test_column_name_that_is_not_utf8(tmp_path: Path, schema: pyarrow.Schema) -> None:
    path = tmp_path / "history.parquet"
    path.write_bytes(renamed(schema, b"nnnn", b"n\xff\x1b["))
    with pytest.raises(HistoryDecodeError, match=r"the column name .*n\\+xff.* is not UTF-8") as failure:
        list(histscan.open(path).scan_history())
    assert str(path) in str(failure.value)
    assert str(failure.value).isprintable()
    path.write_bytes(renamed(schema, b"nnnn", "née".encode()))
    assert len(histscan.open(path).to_arrow()) == 2


# Clean-up that fails


class _FailingFile(io.BytesIO):
    """A file that can't be closed."""

    def close(self) -> None:
        super().close()
        raise OSError(5, "can't be closed")


def test_file_that_can_not_be_closed() -> None:
    content = parquet(range(3))
    with pytest.raises(HistoryDecodeError, match="not a Parquet file, or is not complete"):
        ParquetSource("file", lambda: _FailingFile(content[:-4]))
    with pytest.raises(OSError, match="can't be closed"):
        ParquetSource("file", lambda: _FailingFile(content))


# The key

SECRETS = (KEY, base64.b64encode(f"api:{KEY}".encode()).decode())


def frames_of(error: BaseException | None) -> Iterator[TracebackType]:
    """The frames of an exception and all that it was caused by, other than those of this test."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        waiting += [found.__cause__, found.__context__]
        trace = found.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename != __file__:
                yield trace
            trace = trace.tb_next


def assert_hides_key(error: BaseException) -> None:
    frames = list(frames_of(error))
    assert frames
    for trace in frames:
        for name, value in trace.tb_frame.f_locals.items():
            try:
                shown = repr(value)
            except AttributeError:
                # An object whose constructor failed.
                shown = repr(vars(value))
            assert not any(secret in shown for secret in SECRETS), (trace.tb_frame.f_code, name)


def free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("answer", [Answer(b"{}", 401), Answer(b"no JSON"), Answer(b"{}", length=99), None])
def test_local_variables_do_not_show_the_key(server: GraphQLServer, answer: Answer | None) -> None:
    if answer is not None:
        server.respond = lambda request: answer
    url = server.url if answer is not None else f"http://127.0.0.1:{free_port()}"
    with pytest.raises(HistoryError) as failure:
        Client(url, KEY, retries=0, timeout=5).execute(QUERY)
    assert_hides_key(failure.value)
    with pytest.raises(HistoryError) as failure:
        histscan.Api(url, KEY, retries=0, timeout=5).run("e/p/r")
    assert_hides_key(failure.value)


@pytest.mark.parametrize("by_environment", [False, True])
def test_errors_of_a_client_that_can_not_be_made(monkeypatch: pytest.MonkeyPatch, by_environment: bool) -> None:
    if by_environment:
        monkeypatch.setenv("WANDB_API_KEY", f"{KEY} {KEY}")
    key = None if by_environment else KEY
    for make in (Client, histscan.Api):
        with pytest.raises(HistoryError) as failure:
            make("http://127.0.0.1:1" if by_environment else "ftp://127.0.0.1", key)
        assert_hides_key(failure.value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(HistoryError) as failure:
        Client("https://127.0.0.1:1", KEY, retries=0).execute(QUERY)
    assert_hides_key(failure.value)


def objects(client: Client) -> Iterator[Any]:
    """A client and everything that it holds."""
    seen: set[int] = set()
    waiting: list[Any] = [client]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or not type(found).__module__.startswith("histscan"):
            continue
        seen.add(id(found))
        yield found
        members = list(vars(found).values()) if hasattr(found, "__dict__") else []
        members += list(found) if isinstance(found, tuple) else []
        waiting += [
            value for member in members for value in (member.values() if isinstance(member, dict) else [member])
        ]


def test_reprs_and_pickles_do_not_show_the_key(server: GraphQLServer) -> None:
    server.respond = lambda request: Answer(b'{"data": {}}')
    client = Client(server.url, KEY)
    client.execute(QUERY)
    found = list(objects(client))
    assert len(found) >= 5
    for held in found:
        assert not any(secret in f"{held!r} {held}" for secret in SECRETS)
    for value in (client, histscan.Api(server.url, KEY)):
        assert not any(secret.encode() in pickle.dumps(value) for secret in SECRETS)
    assert KEY.encode() in pickle.dumps(Client(server.url, KEY, pickle_key=True))
