"""The catalogue serves the runs under the given paths, with the right names, and nothing else."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.server import catalogue as catalogue_module
from histscan.server.catalogue import Catalogue
from histscan.server.settings import ServerSettings
from histscan.sources.discovery import FoundLog, FoundParquet, find_runs
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import DATA

LOG = DATA / "default-encoding.wandb"
OTHER_LOG = DATA / "typed-encoding.wandb"

# A log that is still being written ends within a record.
pytestmark = pytest.mark.filterwarnings("ignore::histscan.LogTruncatedWarning")

Make = Callable[..., Catalogue]


@pytest.fixture
def make(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes catalogues that search their folders on every request."""
    monkeypatch.setattr(catalogue_module, "SEARCH_INTERVAL", 0.0)

    def make_one(*paths: Path, **settings: object) -> Catalogue:
        chosen = ServerSettings(paths=paths, **settings)  # type: ignore[arg-type]
        return Catalogue(chosen, tmp_path_factory.mktemp("exports"))

    return make_one


def ids(catalogue: Catalogue) -> list[str]:
    return ["/".join(run.key) for run in catalogue.runs()]


def refuse_warnings(message: str) -> None:
    raise AssertionError(message)


def test_folders_are_searched_recursively(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "wandb" / "offline-run-20260131_120000-x"
    deep.mkdir(parents=True)
    shutil.copy(LOG, deep / "run-x.wandb")
    shutil.copy(LOG, tmp_path / "b.wandb")
    (deep / "files").mkdir()
    (deep / "files" / "output.log").write_text("no run")
    found = list(find_runs(tmp_path, refuse_warnings))
    assert found == [FoundLog(tmp_path / "b.wandb"), FoundLog(deep / "run-x.wandb")]
    assert list(find_runs(deep / "run-x.wandb", refuse_warnings)) == [FoundLog(deep / "run-x.wandb")]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    served, secret = tmp_path / "served", tmp_path / "secret"
    served.mkdir()
    secret.mkdir()
    shutil.copy(LOG, secret / "run-secret.wandb")
    shutil.copy(LOG, served / "run-inside.wandb")
    (served / "run-out.wandb").symlink_to(secret / "run-secret.wandb")
    (served / "folder-out").symlink_to(secret)
    (served / "run-alias.wandb").symlink_to(served / "run-inside.wandb")
    (served / "run-dangling.wandb").symlink_to(served / "nothing.wandb")
    (served / "run-folder.wandb").mkdir()
    warnings: list[str] = []
    found = set(find_runs(served, warnings.append))
    assert found == {FoundLog(served / "run-inside.wandb")}
    assert len(warnings) == 1
    assert "run-out.wandb is skipped: it is a link" in warnings[0]


def test_a_link_given_as_a_path_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(DATA)
    assert {found.path for found in find_runs(link, refuse_warnings) if isinstance(found, FoundLog)} == {LOG, OTHER_LOG}


def test_exported_files_are_grouped_by_run(tmp_path: Path) -> None:
    for name in ("e_p_one_0.runhistory.parquet", "e_p_one_1.runhistory.parquet", "e_p_two_0.runhistory.parquet"):
        (tmp_path / name).touch()
    other = tmp_path / "my-run"
    other.mkdir()
    (other / "part-0.parquet").touch()
    (other / "part-1.parquet").touch()
    found = {run.name: len(run.paths) for run in find_runs(tmp_path, refuse_warnings) if isinstance(run, FoundParquet)}
    assert found == {"e_p_one": 2, "e_p_two": 1, "my-run": 2}


def test_missing_path(tmp_path: Path, make: Make) -> None:
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"no log", b"x" * 10_000])
def test_a_file_that_is_no_log(tmp_path: Path, make: Make, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    foreign = tmp_path / "run-foreign.wandb"
    foreign.write_bytes(content)
    with pytest.raises(histscan.LogFormatError):
        make(foreign)
    shutil.copy(LOG, tmp_path / "run-good.wandb")
    with caplog.at_level(logging.WARNING, "histscan.server"):
        catalogue = make(tmp_path)
        assert ids(catalogue) == ["histscan/fixtures/default-encoding"]
        assert ids(catalogue) == ["histscan/fixtures/default-encoding"]
    assert [record.getMessage().split(" is not served")[0] for record in caplog.records] == [str(foreign)]


def test_new_runs_are_found_and_removed_runs_disappear(tmp_path: Path, make: Make) -> None:
    catalogue = make(tmp_path)
    assert ids(catalogue) == []
    assert catalogue.run("histscan", "fixtures", "default-encoding") is None
    shutil.copy(LOG, tmp_path / "a.wandb")
    assert catalogue.run("histscan", "fixtures", "default-encoding") is not None
    shutil.copy(OTHER_LOG, tmp_path / "b.wandb")
    assert ids(catalogue) == ["histscan/fixtures/default-encoding", "histscan/fixtures/typed-encoding"]
    assert catalogue.has_project("histscan", "fixtures")
    (tmp_path / "a.wandb").unlink()
    assert ids(catalogue) == ["histscan/fixtures/typed-encoding"]


def test_of_two_logs_of_a_run_the_newer_is_served(tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    for name, age in (("a", 100), ("b", 0), ("c", 200)):
        shutil.copy(LOG, tmp_path / f"{name}.wandb")
        os.utime(tmp_path / f"{name}.wandb", (1e9 - age, 1e9 - age))
    with caplog.at_level(logging.WARNING, "histscan.server"):
        catalogue = make(tmp_path)
    (run,) = catalogue.runs()
    assert run.details().heartbeat_at.timestamp() == 1e9
    assert len(caplog.records) == 2


def test_names_of_runs_recorded_without_names(tmp_path: Path, make: Make) -> None:
    # Only a header: the log does not contain the run's names yet.
    nameless = tmp_path / "run-abc123.wandb"
    nameless.write_bytes(LOG.read_bytes()[:7])
    assert ids(make(tmp_path)) == ["local/uncategorized/abc123"]
    catalogue = make(tmp_path, entity="me", project="mine")
    assert ids(catalogue) == ["me/mine/abc123"]
    assert catalogue.default_entity == "me"
    assert catalogue.run(None, "mine", "abc123") is not None
    nameless.write_bytes(LOG.read_bytes())
    assert ids(catalogue) == ["histscan/fixtures/default-encoding"]


def test_default_entity(make: Make, tmp_path: Path) -> None:
    assert make(DATA).default_entity == "histscan"
    assert make(tmp_path).default_entity == "local"
    assert make(DATA, entity="me").default_entity == "me"


def test_a_log_that_grows(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "run-grows.wandb"
    content = LOG.read_bytes()
    path.write_bytes(content[:30_000])
    run = make(path).runs()[0]
    few = run.rows(None, None)
    assert run.details().state == "running"
    assert run.exported_files().files == ()
    assert run.details().row_count == len(few) < 50
    with path.open("ab") as file:
        file.write(content[30_000:])
    # Cached rows are reused for a page of them; new rows are read when they are requested.
    assert run.rows(None, 5) is few
    assert len(run.rows(None, None)) == 50
    assert run.rows(None, 5) is run.rows(None, None)
    assert run.details().state == "finished"
    assert len(run.exported_files().files) == 1


def test_a_log_that_is_replaced(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "run.wandb"
    shutil.copy(LOG, path)
    catalogue = make(path)
    run = catalogue.runs()[0]
    assert len(run.rows(None, 5))
    replacement = tmp_path / "other"
    shutil.copy(OTHER_LOG, replacement)
    replacement.replace(path)
    with pytest.raises(OSError, match="were replaced: request the run again"):
        run.rows(None, 5)
    # The other log has another run.
    assert catalogue.run(*run.key) is None


def test_a_run_without_recent_writes_has_crashed(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "run.wandb"
    path.write_bytes(LOG.read_bytes()[:7])
    run = make(path).runs()[0]
    assert run.details().state == "running"
    os.utime(path, (1e9, 1e9))
    assert run.details().state == "crashed"


class TestSwaps:
    """A log that another file took the place of is not read under the names of the old one."""

    QUERY = '{ project(name: "fixtures", entityName: "histscan") { run(name: "default-encoding") { history } } }'

    @pytest.fixture
    def served(self, tmp_path: Path) -> Path:
        """A served folder with a log; the log itself was given, too."""
        path = tmp_path / "served" / "run" / "run-x.wandb"
        path.parent.mkdir(parents=True)
        shutil.copy(DATA / "default-encoding.wandb", path)
        shutil.copytree(tmp_path / "served" / "run", tmp_path / "elsewhere")
        return path

    def rows(self, client: AsgiClient) -> Any:
        found = client.post({"query": self.QUERY}).json()["data"]["project"]
        return found and found["run"] and found["run"]["history"]

    @pytest.mark.parametrize("given", ["file", "folder"])
    @pytest.mark.parametrize("swapped", ["file", "folder"])
    def test_links(self, served: Path, tmp_path: Path, given: str, swapped: str) -> None:
        client = client_of(served if given == "file" else served.parent.parent, folder=tmp_path / "exports")
        assert self.rows(client)
        place = served if swapped == "file" else served.parent
        place.rename(tmp_path / "moved")
        place.symlink_to(tmp_path / "elsewhere" / ("run-x.wandb" if swapped == "file" else ""))
        if (given, swapped) != ("file", "folder"):
            assert not self.rows(client)

    def test_a_log_that_was_copied_anew_is_served(self, served: Path, tmp_path: Path) -> None:
        client = client_of(served.parent.parent, folder=tmp_path / "exports")
        before = self.rows(client)
        shutil.copy(served, tmp_path / "copy")
        (tmp_path / "copy").rename(served)
        assert self.rows(client) == before
