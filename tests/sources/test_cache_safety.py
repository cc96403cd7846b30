"""The cache of exported files: only what this user wrote counts, links are not followed, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from histscan.common.atomic import atomic_output
from histscan.common.temporary import TemporaryFolder
from histscan.errors import ExportWarning, HistoryError
from histscan.sources import exported_files
from histscan.sources.file_cache import cache_output, clear_cache, read_limit, write_limit
from tests.support.export_backend import Backend, parquet
from tests.support.graphql_server import GraphQLServer
from tests.support.server_process import serving

ROWS = "fff" + "p" * 7
HOUR = 3_600


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def backend(server: GraphQLServer) -> Backend:
    return Backend(server)


def cached(backend: Backend, cache: Path) -> Path:
    """The path of the backend's file, after it was downloaded."""
    assert backend.rows() == ROWS
    (path,) = cache.glob("*.parquet")
    return path


def other_file(size: int) -> bytes:
    """Another file of the same size, with other rows."""
    content = parquet(range(3)).replace(b"file", b"evil")
    assert len(content) == size
    return content


# Whose files count


def test_files_are_private(backend: Backend, cache: Path) -> None:
    previous = os.umask(0)
    try:
        path = cached(backend, cache)
        write_limit(cache, 1_000)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(found.stat().st_mode) for found in cache.iterdir()} == {0o600}
    assert path.exists()


def test_planted_link_is_not_read_or_written_through(backend: Backend, cache: Path, tmp_path: Path) -> None:
    path = cached(backend, cache)
    victim = tmp_path / "victim"
    victim.write_bytes(other_file(path.stat().st_size))
    before = victim.read_bytes()
    path.unlink()
    path.symlink_to(victim)
    assert backend.rows() == ROWS
    assert victim.read_bytes() == before
    assert not path.is_symlink()


def test_planted_link_to_a_device(backend: Backend, cache: Path) -> None:
    path = cached(backend, cache)
    path.unlink()
    path.symlink_to("/dev/null")
    assert backend.rows() == ROWS
    assert not path.is_symlink()


@pytest.mark.parametrize("how", ["writable by others", "second name", "another user's"])
def test_file_that_others_may_have_written(
    backend: Backend, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = cached(backend, cache)
    planted = other_file(path.stat().st_size)
    path.write_bytes(planted)
    if how == "writable by others":
        path.chmod(0o666)
    elif how == "second name":
        os.link(path, tmp_path / "second")
    else:
        if os.geteuid():
            pytest.skip("only root can give files away")
        os.chown(path, 1, 1)
    assert backend.rows() == ROWS
    assert path.read_bytes() != planted
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o722])
def test_folder_that_others_can_write_to(backend: Backend, cache: Path, mode: int) -> None:
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(HistoryError, match=r"other users can write to the cache folder .*chmod go-w.*HISTSCAN_CACHE"):
        list(backend.scan())
    with pytest.raises(HistoryError, match="other users can write"):
        write_limit(cache, 1)
    assert list(cache.iterdir()) == []
    with pytest.warns(ExportWarning, match="other users can write"):
        assert backend.rows("auto") == "p" * 10
    cache.chmod(0o755)
    assert backend.rows() == ROWS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("is_link", [False, True])
def test_folder_of_another_user(backend: Backend, cache: Path, tmp_path: Path, is_link: bool) -> None:
    if is_link:
        (tmp_path / "mine").mkdir()
        cache.symlink_to(tmp_path / "mine")
    else:
        cache.mkdir()
    os.lchown(cache, 1, 1)
    with pytest.raises(HistoryError, match="belongs to another user: set HISTSCAN_CACHE_DIR"):
        list(backend.scan())
    assert not list(tmp_path.glob("*/*"))


def test_own_link_to_another_disk(backend: Backend, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "disk")
    assert backend.rows() == ROWS
    assert len(list((tmp_path / "disk").iterdir())) == 1


def test_limit_is_not_read_through_a_link(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    (tmp_path / "number").write_text("7")
    (cache / "histscan-cache-limit").symlink_to(tmp_path / "number")
    assert read_limit(cache) is None
    write_limit(cache, 8)
    assert read_limit(cache) == 8
    assert (tmp_path / "number").read_text() == "7"
    (cache / "histscan-cache-limit").unlink()
    os.mkfifo(cache / "histscan-cache-limit")
    assert read_limit(cache) is None


# What killed processes leave


def killed(program: str, *arguments: str) -> str:
    """Runs a program until it prints a line, then kills it. Returns the line."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return line


WRITER = """
    import sys, time, pathlib
    from histscan.common.atomic import atomic_output
    with atomic_output(pathlib.Path(sys.argv[1])) as output:
        output.write(b"part")
        output.flush()
        print(flush=True)
        time.sleep(60)
"""


def make_old(path: Path) -> None:
    os.utime(path, (time.time() - 2 * HOUR,) * 2)


def in_new_process(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), *arguments], check=True)


WRITE = """
    import sys, pathlib
    from histscan.common.atomic import atomic_output
    with atomic_output(pathlib.Path(sys.argv[1])) as output:
        output.write(b"whole")
"""


def test_partial_files_of_killed_processes(tmp_path: Path) -> None:
    killed(WRITER, str(tmp_path / "first"))
    (partial,) = tmp_path.glob(".first.*.partial")
    others = [tmp_path / name for name in (".mine.partial", "first.0123456789ab.partial", ".x.0123456789abc.partial")]
    link = tmp_path / ".link.0123456789ab.partial"
    for path in others:
        path.write_bytes(b"mine")
        make_old(path)
    link.symlink_to(others[0])
    in_new_process(WRITE, str(tmp_path / "second"))
    # It could be that of a process that is writing now.
    assert partial.exists()
    make_old(partial)
    in_new_process(WRITE, str(tmp_path / "third"))
    assert not partial.exists()
    assert all(path.read_bytes() == b"mine" for path in others)
    assert link.is_symlink()


def test_partial_file_that_is_in_use_stays(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "first") as output:
        output.write(b"whole")
        output.flush()
        (partial,) = tmp_path.glob(".first.*.partial")
        make_old(partial)
        in_new_process(WRITE, str(tmp_path / "second"))
        assert partial.exists()
    assert (tmp_path / "first").read_bytes() == b"whole"


def test_partial_downloads_of_killed_processes(backend: Backend, cache: Path) -> None:
    cache.mkdir()
    partial = cache / f".{3:032x}-{3:07x}.{5:012x}.partial"
    partial.write_bytes(b"part")
    make_old(partial)
    assert backend.rows() == ROWS
    assert not partial.exists()


FOLDER = """
    import time
    from histscan.common.temporary import TemporaryFolder
    folder = TemporaryFolder()
    (folder.path / "rows").write_bytes(b"rows")
    print(folder.path, flush=True)
    time.sleep(60)
"""


def test_temporary_folders_of_killed_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    left = Path(killed(FOLDER))
    assert left.parent == tmp_path
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    other = tmp_path / "histscan-others"
    other.mkdir()
    make_old(other)
    used = TemporaryFolder()
    make_old(used.path)
    TemporaryFolder().remove()
    assert left.exists()
    make_old(left)
    TemporaryFolder().remove()
    assert not left.exists()
    assert used.path.exists()
    assert other.exists()
    used.remove()
    assert not used.path.exists()


def test_folders_of_killed_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "runs").mkdir()
    with serving(tmp_path / "runs") as server:
        (left,) = tmp_path.glob("histscan-*")
        server.process.kill()
        server.process.wait()
    make_old(left)
    with serving(tmp_path / "runs"):
        (used,) = tmp_path.glob("histscan-*")
        assert used != left
    assert list(tmp_path.glob("histscan-*")) == []


# What takes the place of the cache between its check and its use


def swap(folder: Path, other: Path) -> None:
    """Puts a link to another folder in the place of one, which gets another name."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(other)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (tmp_path / "other").mkdir()
    return tmp_path / "other"


def test_folder_that_is_swapped_while_a_file_is_written(cache: Path, other: Path) -> None:
    with cache_output(cache / "file") as output:
        output.write(b"content")
        swap(cache, other)
    assert list(other.iterdir()) == []
    assert [path.name for path in (cache.parent / "moved").iterdir()] == ["file"]


def test_folder_that_is_swapped_before_a_partial_file_is_removed(cache: Path, other: Path) -> None:
    def write_and_fail() -> None:
        with cache_output(cache / "file"):
            (partial,) = cache.iterdir()
            (other / partial.name).write_bytes(b"another file")
            swap(cache, other)
            raise ValueError("the error")

    with pytest.raises(ValueError, match="the error"):
        write_and_fail()
    assert len(list(other.iterdir())) == 1
    assert list((cache.parent / "moved").iterdir()) == []


def test_folder_that_is_swapped_while_files_are_removed(
    backend: Backend, cache: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cached(backend, cache).name
    (other / name).write_bytes(b"another file")
    unlink = os.unlink

    def swap_and_unlink(path: Any, **options: Any) -> None:
        swap(cache, other)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", swap_and_unlink)
        assert len(clear_cache(cache)) == 1
    assert (other / name).exists()
    assert list((cache.parent / "moved").iterdir()) == []


@pytest.mark.parametrize("how", ["link", "writable by others"])
def test_file_that_is_swapped_after_it_was_found(
    backend: Backend, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = cached(backend, cache)
    planted = other_file(path.stat().st_size)

    def swap_file(found: Path) -> None:
        (tmp_path / "planted").write_bytes(planted)
        found.unlink()
        if how == "link":
            found.symlink_to(tmp_path / "planted")
        else:
            (tmp_path / "planted").rename(found)
            found.chmod(0o666)

    with monkeypatch.context() as patch:
        patch.setattr(exported_files, "mark_used", swap_file)
        with pytest.raises(HistoryError, match="changed after it was opened"):
            list(backend.scan())
    assert backend.rows() == ROWS


# The first error is the one that is reported


def test_error_of_a_write_hides_no_error_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(5, "Input/output error")

    def write_and_fail() -> None:
        with atomic_output(tmp_path / "goal") as output:
            output.write(b"part")
            monkeypatch.setattr(os, "unlink", fail)
            monkeypatch.setattr(Path, "unlink", fail)
            raise ValueError("the first error")

    with pytest.raises(ValueError, match=re.escape("the first error")):
        write_and_fail()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_hides_no_error_before(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with atomic_output(tmp_path / "goal") as output:
            output.write(b"part")
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, output.fileno())
            os.close(full)
            raise ValueError("the first error")

    with pytest.raises(ValueError, match="the first error"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []
