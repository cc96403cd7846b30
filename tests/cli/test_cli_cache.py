"""`histscan cache`, and the files that stay in the cache of exported histories."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import histscan
from histscan.cli.exit_codes import FAILED, MISUSED
from histscan.cli.main import main
from histscan.sources.file_cache import cached_files, keep_within_limit, read_limit, write_limit
from tests.support.export_backend import KEY, Backend, parquet
from tests.support.graphql_server import Answer, GraphQLServer

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(folder: Path, number: int, size: int, age: float) -> Path:
    """Puts a file into the cache, as a download does, that was used some seconds ago."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{number:032x}-{number:016x}.parquet"
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def put_others(folder: Path) -> set[Path]:
    """Files of other programs and of other kinds, which nothing removes."""
    folder.mkdir(exist_ok=True)
    target = folder.parent / "target.parquet"
    target.write_bytes(b"mine")
    link = folder / f"{7:032x}-{7:016x}.parquet"
    link.symlink_to(target)
    (folder / f"{8:032x}-{8:016x}.parquet").mkdir()
    files = {
        folder / name for name in ("mine.parquet", "notes.txt", f"{9:032x}.parquet", f"x{9:032x}-{9:016x}.parquet")
    }
    for path in files:
        path.write_bytes(b"mine")
        os.utime(path, (0, 0))
    return {*files, link, folder / f"{8:032x}-{8:016x}.parquet"}


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["cache", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = [f"folder  {folder}", "files   0, 0 B", "limit   none"]
    assert output(capsys) == output(capsys, "show") == nothing
    assert not folder.exists()
    put_others(folder)
    put(folder, 1, 1_500, 0)
    put(folder, 2, 2_500_000, DAY)
    days = [time.strftime("%Y-%m-%d", time.localtime(time.time() - age)) for age in (DAY, 0)]
    assert output(capsys)[1:] == ["files   2, 2.5 MB", f"used    {days[0]} to {days[1]}", "limit   none"]


def test_clear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = put_others(folder)
    old, recent = put(folder, 1, 1_000, 31 * DAY), put(folder, 2, 2_000, DAY)
    part_names = [f".{3:032x}-{3:07x}.{age:012x}.partial" for age in (0, 2)]
    for name, age in zip(part_names, (0, 2 * HOUR), strict=True):
        (folder / name).write_bytes(b"part")
        os.utime(folder / name, (time.time() - age, time.time() - age))
    assert output(capsys, "clear", "--unused-for", "30")[0] == "removed 1 file, 1.0 kB"
    assert (old.exists(), recent.exists()) == (False, True)
    assert output(capsys, "clear")[0] == "removed 1 file, 2.0 kB"
    # A download that may still be running stays.
    assert set(folder.iterdir()) == others | {folder / part_names[0]}


def test_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = put_others(folder)
    files = [put(folder, number, 400, (9 - number) * DAY) for number in range(5)]
    in_use = put(folder, 5, 100_000, HOUR / 2)
    # The file in use alone is beyond the limit, so that all others go.
    assert output(capsys, "limit", "2K") == [
        "removed 5 files, 2.0 kB",
        f"folder  {folder}",
        "files   1, 100.0 kB",
        *output(capsys)[2:3],
        "limit   2.0 kB",
    ]
    assert in_use.exists()
    in_use.unlink()
    files = [put(folder, number, 400, (9 - number) * DAY) for number in range(6)]
    assert [file.path for file in keep_within_limit(folder)] == files[:1]
    assert sum(file.size for file in cached_files(folder)) == 2_000
    assert output(capsys, "limit", "none")[-1] == "limit   none"
    put(folder, 9, 100_000, DAY)
    assert keep_within_limit(folder) == []
    assert others <= set(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["limit"], "needs a size such as 20G"),
        (["limit", "much"], "not a size such as"),
        (["clear", "1G"], "other actions take no size"),
        (["show", "--unused-for", "3"], "--unused-for applies to"),
        (["drop"], "drop"),
    ],
)
def test_misuse(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", *arguments]) == MISUSED
    assert message in capsys.readouterr().err
    assert not folder.exists()


def test_failures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_bytes(b"a file")
    assert main(["cache", "limit", "1G"]) == FAILED
    assert output(capsys)[1] == "files   0, 0 B"
    folder.unlink()
    folder.mkdir()
    (folder / "histscan-cache-limit").write_bytes(b"damaged")
    assert read_limit(folder) is None
    write_limit(folder, 5)
    assert read_limit(folder) == 5


class TestDownloads:
    """Downloads of a server's files, into a limited cache."""

    @pytest.fixture
    def backend(self, server: GraphQLServer, folder: Path) -> Backend:
        return Backend(server)

    def test_a_download_removes_old_files(self, backend: Backend, folder: Path) -> None:
        old = put(folder, 1, 5_000, 2 * HOUR)
        recent = put(folder, 2, 5_000, HOUR / 2)
        write_limit(folder, 1_000)
        assert backend.rows() == "fffppppppp"
        assert (old.exists(), recent.exists()) == (False, True)
        assert len(cached_files(folder)) == 2

    def test_use_counts(self, backend: Backend, folder: Path) -> None:
        """A file that is read again is not the one to go, and stays the same for those who read it."""
        backend.rows()
        (file,) = cached_files(folder)
        modified = file.path.stat().st_mtime_ns - 10 * DAY * 10**9
        os.utime(file.path, ns=(modified, modified))
        put(folder, 1, 5_000, DAY)
        assert cached_files(folder)[0].path == file.path
        assert backend.rows() == "fffppppppp"
        assert cached_files(folder)[-1].path == file.path
        assert file.path.stat().st_mtime_ns == modified

    def test_all_files_of_a_history_stay(self, backend: Backend, folder: Path) -> None:
        """Even if they are larger than the limit together."""
        backend.files = {
            f"/{number}": Answer(parquet(range(number, number + 1)), headers={"ETag": f'"{number}"'})
            for number in range(3)
        }
        folder.mkdir()
        write_limit(folder, 1)
        scan = histscan.Api(backend.server.url, KEY).run("e/p/r").scan_history(page_size=3, source="parquet")
        assert [row["_step"] for row in scan] == list(range(10))
        assert len(cached_files(folder)) == 3

    def test_cleared_files_are_downloaded_again(
        self, backend: Backend, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scan = backend.scan()
        first = next(scan)
        assert output(capsys, "clear")[0].startswith("removed 1 file")
        assert backend.rows() == "fffppppppp"
        assert first["_step"] == 0
        assert len(cached_files(folder)) == 1
