"""Output files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from histscan.common.atomic import atomic_output


def write(path: Path, content: bytes, error: BaseException | None = None) -> None:
    with atomic_output(path) as output:
        output.write(content)
        if error is not None:
            output.flush()
            raise error


def test_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    with atomic_output(goal) as output:
        output.write(b"first half, ")
        output.flush()
        assert not goal.exists()
        output.write(b"second half")
    assert goal.read_bytes() == b"first half, second half"
    assert os.listdir(tmp_path) == ["goal"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_error_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write(tmp_path / "goal", b"half", error)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_error_leaves_the_existing_file_unchanged(tmp_path: Path, error: BaseException) -> None:
    goal = tmp_path / "goal"
    goal.write_bytes(b"earlier")
    before = goal.stat()
    with pytest.raises(type(error)):
        write(goal, b"half", error)
    assert goal.read_bytes() == b"earlier"
    assert (goal.stat().st_ino, goal.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(tmp_path) == ["goal"]


def test_open_readers_keep_the_old_file(tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_bytes(b"earlier")
    with goal.open("rb") as reader:
        write(goal, b"later")
        assert reader.read() == b"earlier"
    assert goal.read_bytes() == b"later"


def test_permissions_are_the_default_or_those_of_the_replaced_file(tmp_path: Path) -> None:
    goal, other = tmp_path / "goal", tmp_path / "other"
    other.touch()
    write(goal, b"new")
    assert goal.stat().st_mode == other.stat().st_mode
    goal.chmod(0o640)
    write(goal, b"newer")
    assert stat.S_IMODE(goal.stat().st_mode) == 0o640


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to(target)
    write(link, b"through a link to nothing")
    write(link, b"through the link")
    assert link.is_symlink()
    assert target.read_bytes() == b"through the link"
    assert os.listdir(tmp_path / "folder") == ["target"]


def test_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, b"through the pipe")
        assert os.read(reader, 100) == b"through the pipe"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_full_disk_error_names_the_file(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write(full, b"x")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize("name", ["missing/goal", "file/goal", "."])
def test_error_names_a_path_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="directory") as caught:
        write(tmp_path / name, b"x")
    assert os.path.normpath(caught.value.filename) == os.path.normpath(tmp_path / name)
    assert os.listdir(tmp_path) == ["file"]


def test_longest_file_name(tmp_path: Path) -> None:
    goal = tmp_path / ("ж" * 127)
    write(goal, b"x")
    assert goal.read_bytes() == b"x"
