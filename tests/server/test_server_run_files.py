"""The files beside a run's log are listed with safe names, and no other file is ever sent."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from histscan.server import run_files
from histscan.server.run_files import choose_files, find_files
from histscan.server.safe_files import open_found
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import DATA

LOG = DATA / "default-encoding.wandb"
FILES = """
query RunFiles($names: [String], $pattern: String, $first: Int, $after: String) {
    project(name: "fixtures") { run(name: "default-encoding") {
        fileCount
        files(names: $names, pattern: $pattern, first: $first, after: $after) {
            edges { node { name sizeBytes md5 mimetype url(upload: false) directUrl updatedAt } cursor }
            pageInfo { endCursor hasNextPage }
            totalCount
        }
    } }
}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with its folder of files, and a private file beside that folder."""
    path = tmp_path / "wandb" / "run-1" / "run-x.wandb"
    path.parent.mkdir(parents=True)
    shutil.copy(LOG, path)
    (path.parent / "files" / "media" / "images").mkdir(parents=True)
    (path.parent / "files" / "output.log").write_text("line\n")
    (path.parent / "files" / "media" / "images" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret").write_text("sesame")
    (path.parent / "debug.log").write_text("sesame")
    return path


def names(log: Path) -> list[str]:
    return [file.name for file in find_files(log)]


def asked(log: Path, folder: Path, **variables: Any) -> tuple[AsgiClient, list[dict[str, Any]]]:
    client = client_of(log, folder=folder, api_key="sesame" * 7)
    reply = client.post({"query": FILES, "variables": variables}, authorization=f"Bearer {'sesame' * 7}")
    edges = reply.json()["data"]["project"]["run"]["files"]["edges"]
    return client, [edge["node"] for edge in edges]


def test_files_below_the_folder_are_listed(log: Path) -> None:
    assert names(log) == ["media/images/a.png", "output.log"]


def test_links_out_of_the_folder_are_not_followed(log: Path, tmp_path: Path) -> None:
    files = log.parent / "files"
    (files / "link").symlink_to(tmp_path / "secret")
    (files / "relative").symlink_to("../debug.log")
    (files / "folder").symlink_to(tmp_path)
    (files / "inner-folder").symlink_to(files / "media")
    (files / "dangling").symlink_to(files / "nothing")
    (files / "circle").symlink_to(files / "circle")
    (files / "alias").symlink_to(files / "output.log")
    os.mkfifo(files / "pipe")
    assert names(log) == ["alias", "media/images/a.png", "output.log"]


def test_a_folder_that_is_a_link_is_not_listed(log: Path, tmp_path: Path) -> None:
    shutil.rmtree(log.parent / "files")
    (log.parent / "files").symlink_to(tmp_path)
    assert names(log) == []


def test_a_folder_of_several_logs_has_no_files(log: Path) -> None:
    shutil.copy(log, log.parent / "run-y.wandb")
    assert names(log) == []


def test_no_folder(log: Path) -> None:
    shutil.rmtree(log.parent / "files")
    assert names(log) == []


def test_names_are_safe_in_terminals_and_paths(log: Path) -> None:
    files = log.parent / "files"
    shutil.rmtree(files / "media")
    for name in (b"\x1b[31mred\n", b"..\\..\\up", b"\xff\xfe", "right\u202eleft".encode()):
        Path(os.fsdecode(os.fsencode(files) + b"/" + name)).touch()
    assert names(log) == [".._.._up", "_[31mred_", "__", "output.log", "right_left"]


def test_folders_nested_deeper_than_the_stack(log: Path) -> None:
    deep = log.parent / "files" / "/".join("d" * 120) / "deep"
    deep.parent.mkdir(parents=True)
    deep.touch()
    limit = sys.getrecursionlimit()
    # Lower the recursion limit instead of nesting deeply: Python's own functions could not remove such folders.
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    try:
        found = names(log)
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["d/" * 120 + "deep", "media/images/a.png", "output.log"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (None, ["a.b", "a_b", "axb", "x/a_b"]),
        ("", ["a.b", "a_b", "axb", "x/a_b"]),
        ("%", ["a.b", "a_b", "axb", "x/a_b"]),
        ("%_b", ["a.b", "a_b", "axb", "x/a_b"]),
        ("%a%b%", ["a.b", "a_b", "axb", "x/a_b"]),
        ("a%x%b", ["axb"]),
        ("%%a%.%b", ["a.b"]),
        ("a_b", ["a.b", "a_b", "axb"]),
        (r"a\_b", ["a_b"]),
        ("%a\\_b", ["a_b", "x/a_b"]),
        ("a.b", ["a.b"]),
        ("A.b", []),
        ("a", []),
        ("\\", []),
    ],
)
def test_patterns(tmp_path: Path, pattern: str | None, expected: list[str]) -> None:
    (tmp_path / "files" / "x").mkdir(parents=True)
    for name in ("a.b", "a_b", "axb", "x/a_b"):
        (tmp_path / "files" / name).touch()
    chosen = choose_files(find_files(tmp_path / "run.wandb"), [], pattern)
    assert [file.name for file in chosen] == expected


def test_large_files_are_not_read_for_a_listing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "LARGEST_HASHED", 4)
    assert [file.md5 is None for file in find_files(log)] == [False, True]


def test_pages(log: Path, tmp_path: Path) -> None:
    client = client_of(log, folder=tmp_path)
    first = client.query(FILES, first=1)["project"]["run"]
    second = client.query(FILES, first=1, after=first["files"]["pageInfo"]["endCursor"])["project"]["run"]
    pages = [first["files"], second["files"]]
    assert [page["edges"][0]["node"]["name"] for page in pages] == ["media/images/a.png", "output.log"]
    assert [page["pageInfo"]["hasNextPage"] for page in pages] == [True, False]
    assert [page["totalCount"] for page in pages] == [2, 2]
    assert first["fileCount"] == 2
    assert client.errors(FILES, after="x") == ["unknown cursor: pass the endCursor of a page from this server"]


def test_download_without_a_key(log: Path, tmp_path: Path) -> None:
    (log.parent / "files" / "page é.html").write_text("<script>alert(1)</script>")
    client, nodes = asked(log, tmp_path, names=["page é.html"])
    reply = client.request("GET", nodes[0]["url"])
    assert reply.body == b"<script>alert(1)</script>"
    # A browser must not render the file: it would run with this server's origin.
    assert reply.headers["content-type"] == "text/html"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    disposition, _, name = reply.headers["content-disposition"].partition("; filename*=utf-8''")
    assert (disposition, unquote(name)) == ("attachment", "page é.html")
    part = client.request("GET", nodes[0]["directUrl"], headers={"range": "bytes=1-6"})
    assert (part.status, part.body) == (206, b"script")


def test_a_file_that_became_a_link_is_not_sent(log: Path, tmp_path: Path) -> None:
    client, nodes = asked(log, tmp_path, names=["output.log"])
    file = log.parent / "files" / "output.log"
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    reply = client.request("GET", nodes[0]["url"])
    assert reply.status == 404
    assert b"sesame" not in reply.body


def test_a_file_that_took_the_place_of_another_is_not_sent(log: Path, tmp_path: Path) -> None:
    """As a hard link to a file elsewhere would."""
    client, nodes = asked(log, tmp_path, names=["output.log"])
    file = log.parent / "files" / "output.log"
    file.rename(tmp_path / "old")
    os.link(tmp_path / "secret", file)
    assert client.request("GET", nodes[0]["url"]).status == 404
    _, nodes = asked(log, tmp_path, names=["output.log"])
    assert nodes[0]["sizeBytes"] == 6


def test_a_pipe_in_place_of_a_file_is_not_opened(log: Path, tmp_path: Path) -> None:
    client, nodes = asked(log, tmp_path, names=["output.log"])
    file = log.parent / "files" / "output.log"
    file.rename(tmp_path / "old")
    os.mkfifo(file)
    assert client.request("GET", nodes[0]["url"]).status == 404


def test_links_within_the_folder_are_sent(log: Path, tmp_path: Path) -> None:
    (log.parent / "files" / "alias").symlink_to(log.parent / "files" / "media" / "images" / "a.png")
    client, (node,) = asked(log, tmp_path, names=["alias"])
    assert client.request("GET", node["url"]).body == b"\x89PNG"


@pytest.mark.parametrize("swapped", ["file", "folder", "files"])
def test_swaps_between_check_and_open(log: Path, tmp_path: Path, swapped: str) -> None:
    """The file is opened step by step: no part of its path may be a link at that moment."""
    (tmp_path / "media" / "images").mkdir(parents=True)
    (tmp_path / "media" / "images" / "a.png").write_text("sesame")
    root = log.parent / "files"
    (found,) = (file for file in find_files(log) if file.name.endswith("a.png"))
    place = {"file": found.path, "folder": found.path.parent, "files": root}[swapped]
    target = {"file": tmp_path / "media/images/a.png", "folder": tmp_path / "media/images", "files": tmp_path}[swapped]
    place.rename(tmp_path / "moved")
    place.symlink_to(target)
    with pytest.raises(OSError, match=r"."):
        open_found(found.path, root, found.version.inodes[0])
    with pytest.raises(OSError, match=r"."):
        open_found(found.path, root, target.stat().st_ino)


def test_patterns_take_a_limited_time(log: Path, tmp_path: Path) -> None:
    (log.parent / "files" / ("a" * 250)).touch()
    client = client_of(log, folder=tmp_path)
    assert client.query(FILES, pattern="%a" * 100 + "b")["project"]["run"]["files"]["totalCount"] == 0
    assert "the pattern can't be used" in client.errors(FILES, pattern="%a_" * 1000)[0]


def test_a_folder_that_became_a_link_is_not_sent(log: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("sesame")
    client, nodes = asked(log, tmp_path, names=["media/images/a.png"])
    shutil.rmtree(log.parent / "files" / "media" / "images")
    (log.parent / "files" / "media" / "images").symlink_to(tmp_path)
    assert client.request("GET", nodes[0]["url"]).status == 404


@pytest.mark.parametrize("name", ["nothing", "../debug.log", "../../../secret", "/etc/passwd", "media", ""])
def test_names_of_missing_files(log: Path, tmp_path: Path, name: str) -> None:
    client, (node,) = asked(log, tmp_path, names=[name])
    # W&B sends this for a file that does not exist.
    assert (node["name"], node["sizeBytes"], node["md5"]) == (name, 0, "0")
    assert client.request("GET", node["url"]).status == 404
