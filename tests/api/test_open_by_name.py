"""histscan.open() of a name or address: the request goes to its server, with the key of that server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

import histscan
from histscan.cli.main import main
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer, serving
from tests.support.settings_cases import CLOUD_KEY, COMPANY_KEY, login, settings

FOUND = {"name": "r", "displayName": "found", "config": "{}", "summaryMetrics": "{}"}


def respond(request: Received) -> Answer:
    return data_answer({"project": {"run": FOUND, "runs": {"edges": [], "pageInfo": {}}, "runCount": 0}})


@pytest.fixture
def mine(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GraphQLServer:
    """The configured server, in a separate folder."""
    server.respond = respond
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.chdir(tmp_path)
    return server


@pytest.fixture
def other() -> Iterator[GraphQLServer]:
    with serving(respond) as running:
        yield running


def key_of(request: Received) -> str | None:
    sent = request.headers.get("Authorization")
    return None if sent is None else base64.b64decode(sent.removeprefix("Basic ")).decode().removeprefix("api:")


def asked_for(request: Received) -> tuple[str, str, str]:
    variables = request.payload["variables"]
    return variables["entity"], variables["project"], variables["run"]


@pytest.mark.parametrize(
    "name", ["team/my [old] p*/r #1", "team/p[0]/r", "e/p/runs/r", "wandb/p/r", "équipe/proj & co/ü✓", "e/p/a%20b"]
)
def test_names_are_sent_as_they_are(mine: GraphQLServer, name: str) -> None:
    assert histscan.open(name).name == "found"
    assert "/".join(asked_for(mine.received[0])) == name.replace("/runs/", "/")


def test_an_address_of_the_configured_server(mine: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", COMPANY_KEY)
    run = histscan.open(f"{mine.url}/my%20team/p/runs/r/overview?nw=nwuserme")
    assert asked_for(mine.received[0]) == ("my team", "p", "r")
    assert key_of(mine.received[0]) == COMPANY_KEY
    assert isinstance(run, histscan.Run)
    assert histscan.open(run.url).path == run.path == ["my team", "p", "r"]
    assert histscan.Api().run(run.url).path == run.path
    assert histscan.Api().runs(f"{mine.url}/my%20team/p/workspace").entity == "my team"


def test_an_address_on_another_server_does_not_take_the_key_there(
    mine: GraphQLServer, other: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", COMPANY_KEY)
    address = f"{other.url}/e/p/runs/r?accessToken=hunter2"
    with pytest.raises(histscan.HistoryRequestError, match=rf"is not on {mine.url}.*Api\('{other.url}'"):
        histscan.open(address)
    for ask in (histscan.Api().run, histscan.Api().runs):
        with pytest.raises(ValueError, match=rf"is not on {mine.url}: use histscan\.Api\('{other.url}'\)") as failure:
            ask(address)
        assert "hunter2" not in str(failure.value)
    assert mine.received == other.received == []
    # A key in netrc for that server may be sent to it.
    (tmp_path / "netrc").write_text(login(other.url.removeprefix("http://"), CLOUD_KEY))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert histscan.open(address).name == "found"
    assert [key_of(request) for request in other.received] == [CLOUD_KEY]


def test_an_address_on_another_server_without_any_key(mine: GraphQLServer, other: GraphQLServer) -> None:
    assert histscan.open(f"{other.url}/e/p/runs/r").name == "found"
    assert [key_of(request) for request in other.received] == [None]
    assert mine.received == []


@pytest.mark.parametrize("page", ["e/p", "e/p/workspace?nw=x", "e/p/sweeps/s", "e/p/groups/runs"])
def test_an_address_of_a_project(mine: GraphQLServer, page: str) -> None:
    with pytest.raises(ValueError, match=r"address of a project: .*histscan\.open_runs\('e/p'\)"):
        histscan.open(f"{mine.url}/{page}")
    with pytest.raises(ValueError, match="address of a project"):
        histscan.Api().run(f"{mine.url}/{page}")
    assert mine.received == []


@pytest.mark.parametrize(
    "path",
    [
        *("wandb/latest-run", "./x", "./e/p/r", "runs/mnist/1", "~/e/p", "r", "p/r", "s3://bucket/e/p"),
        *("wandb/run-20230101_120000-1a2b3c4d", "out/wandb/run-20230101_120000-1a2b3c4d", "a/b/history.jsonl"),
    ],
)
def test_a_missing_file_is_not_sent_to_a_server(
    mine: GraphQLServer, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*entity/project/run_id"):
        histscan.open(path)
    assert mine.received == []
    # For commands, two names are those of a project.
    if path != "p/r":
        assert main(["info", path]) == 1
        assert "write entity/project" in capsys.readouterr().err
        assert mine.received == []


def test_files_go_before_names(mine: GraphQLServer, tmp_path: Path) -> None:
    for path in ("e/p/r", "e/p0/r"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"no log")
    for path in ("e/p/r", "e/p[0]/r"):
        with pytest.raises(Exception, match=r"not a wandb log|Parquet") as failure:
            histscan.open(path)
        assert not isinstance(failure.value, histscan.HistoryRequestError)
    assert mine.received == []


def test_the_command_line_says_what_is_wrong_with_an_address(
    mine: GraphQLServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", f"{mine.url}/e"]) == 2
    assert capsys.readouterr().err.startswith("histscan: error: ")


def test_the_key_goes_to_the_server_of_the_settings_file(
    server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.respond = respond
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text(settings(base_url=server.url, entity="us", project="vision"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", COMPANY_KEY)
    assert histscan.open("e/p/r").name == "found"
    api = histscan.Api()
    assert api.run("r").path == ["us", "vision", "r"]
    assert (api.runs().entity, api.runs().project) == ("us", "vision")
    assert [key_of(request) for request in server.received] == [COMPANY_KEY] * 2
