"""Exported files over HTTP: signed URLs, ranges, and no access to other files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from histscan.server.file_links import LIFETIME, FileLinks, LinkedFile, LinkError
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import EXAMPLE

QUERY = """
{ project(name: "examples") { run(name: "lissajous") { parquetHistory(liveKeys: ["_step"]) { parquetUrls } } } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def client(folder: Path) -> AsgiClient:
    return client_of(EXAMPLE, folder=folder, api_key="sesame" * 7)


@pytest.fixture(scope="module")
def url(client: AsgiClient) -> str:
    reply = client.post({"query": QUERY}, authorization=f"Bearer {'sesame' * 7}")
    (found,) = reply.json()["data"]["project"]["run"]["parquetHistory"]["parquetUrls"]
    return str(found)


@pytest.fixture(scope="module")
def content(folder: Path, url: str) -> bytes:
    (path,) = folder.iterdir()
    return path.read_bytes()


def test_url_reveals_nothing_of_the_file(url: str) -> None:
    parts = urlsplit(url)
    assert parts.netloc == "127.0.0.1:8090"
    assert str(EXAMPLE.parent) not in url
    assert "lissajous" not in url


def test_whole_file_without_a_key(client: AsgiClient, url: str, content: bytes) -> None:
    reply = client.request("GET", url)
    assert reply.status == 200
    assert reply.body == content
    assert reply.headers["content-length"] == str(len(content))
    assert reply.headers["accept-ranges"] == "bytes"


def test_head(client: AsgiClient, url: str, content: bytes) -> None:
    reply = client.request("HEAD", url)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, None),
        ("bytes=-8", -8, None),
        ("bytes=5-999999999", 5, None),
        ("bytes=-999999999", 0, None),
        ("bytes = 7 - 9", 7, 10),
    ],
)
def test_ranges(client: AsgiClient, url: str, content: bytes, asked: str, first: int, stop: int | None) -> None:
    reply = client.request("GET", url, headers={"range": asked})
    expected = content[first:stop]
    begin = first if first >= 0 else len(content) + first
    assert reply.status == 206
    assert reply.body == expected
    assert reply.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(content)}"
    assert reply.headers["content-length"] == str(len(expected))


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=9-3", "bytes=-0"])
def test_ranges_beyond_the_end(client: AsgiClient, url: str, content: bytes, asked: str) -> None:
    reply = client.request("GET", url, headers={"range": asked})
    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["content-range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "bytes=x-y", "rows=0-1", f"bytes=0-{'9' * 5000}", ""])
def test_whole_file_for_invalid_ranges(client: AsgiClient, url: str, content: bytes, asked: str) -> None:
    reply = client.request("GET", url, headers={"range": asked})
    assert (reply.status, reply.body) == (200, content)


def test_a_range_of_the_headers_alone(client: AsgiClient, url: str) -> None:
    reply = client.request("HEAD", url, headers={"range": "bytes=5-8"})
    assert (reply.status, reply.body, reply.headers["content-length"]) == (206, b"", "4")


def test_conditions(client: AsgiClient, url: str, content: bytes) -> None:
    tag = client.request("HEAD", url).headers["etag"]
    assert client.request("GET", url, headers={"if-none-match": tag}).status == 304
    assert client.request("GET", url, headers={"if-none-match": '"x"'}).body == content
    assert client.request("GET", url, headers={"range": "bytes=0-1", "if-range": tag}).status == 206
    assert client.request("GET", url, headers={"range": "bytes=0-1", "if-range": '"x"'}).body == content


def test_writing_is_rejected(client: AsgiClient, url: str) -> None:
    assert client.request("PUT", url).status == 405
    assert client.request("DELETE", url).status == 405


def altered(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{urlencode(dict(parse_qsl(parts.query)) | changes)}"


def test_forged_urls_are_rejected(client: AsgiClient, url: str) -> None:
    parts = urlsplit(url)
    expires = dict(parse_qsl(parts.query))["expires"]
    for forged in (
        parts.path,
        altered(url, expires=str(int(expires) + 1)),
        altered(url, signature=""),
        altered(url, signature="0" * 64),
        altered(url, signature="é"),
        altered(url, expires="x"),
        f"/files/../{parts.path}?{parts.query}",
        f"/files/{'0' * 32}.parquet?{parts.query}",
        f"{parts.path}/../../../etc/passwd?{parts.query}",
    ):
        assert client.request("GET", forged).status == 403, forged


def test_urls_expire() -> None:
    now = [1000.0]
    links = FileLinks(lambda: now[0])
    path, _, query = links.link(LinkedFile.exported(EXAMPLE)).partition("?")
    assert links.find(path, query).path == EXAMPLE
    now[0] += LIFETIME
    assert links.find(path, query).path == EXAMPLE
    now[0] += 1
    with pytest.raises(LinkError, match="expired"):
        links.find(path, query)


def test_an_exported_file_that_became_a_link_is_not_sent(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    client = client_of(EXAMPLE, folder=folder)
    (url,) = client.query(QUERY)["project"]["run"]["parquetHistory"]["parquetUrls"]
    (path,) = folder.iterdir()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert client.request("GET", url).status == 404


def test_a_deleted_file(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    client = client_of(EXAMPLE, folder=folder)
    (url,) = client.query(QUERY)["project"]["run"]["parquetHistory"]["parquetUrls"]
    (path,) = folder.iterdir()
    path.unlink()
    assert client.request("GET", url).status == 404
