"""The command line of `histscan serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import requests

from histscan.cli import serve
from histscan.cli.exit_codes import UsageError
from histscan.errors import HistoryError
from histscan.server.settings import ANY_KEY, ServerSettings
from histscan.server.startup import environment
from tests.support.paths import EXAMPLE
from tests.support.server_process import serving


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    serve.declare(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """Records the settings of servers instead of starting them."""
    settings: list[ServerSettings] = []
    monkeypatch.setattr("histscan.server.startup.serve", lambda chosen, announce: settings.append(chosen))
    monkeypatch.delenv(serve.KEY_VARIABLE, raising=False)
    return settings


def test_defaults(started: list[ServerSettings]) -> None:
    assert serve.run(parse("a", "b")) == 0
    assert started == [ServerSettings(paths=[Path("a"), Path("b")])]


def test_options(started: list[ServerSettings]) -> None:
    options = "--host 0.0.0.0 --port 0 --api-key k --entity e --project p --skip-corrupt --cache-size 5M --export all"
    shown = "--live-rows 3 --export-rows 7 --latency 50ms --rate-limit 30/m --fault 503 --fault truncate@files -v"
    serve.run(parse("a", *options.split(), *shown.split()))
    (settings,) = started
    assert settings.host == "0.0.0.0"
    assert (settings.port, settings.api_key, settings.entity, settings.project) == (0, "k", "e", "p")
    assert (settings.skip_corrupt, settings.cache_size, settings.export) == (True, 5 << 20, "all")
    assert (settings.live_rows, settings.export_rows, settings.latency, settings.rate_limit) == (3, 7, 0.05, 0.5)
    assert [fault.kind for fault in settings.faults] == ["503", "truncate"]
    assert settings.verbose


def test_api_key_from_the_environment(started: list[ServerSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serve.KEY_VARIABLE, "secret")
    serve.run(parse("a"))
    assert started[0].api_key == "secret"
    assert "secret" not in repr(started[0])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--latency", "soon"),
        ("--latency", "-1s"),
        ("--rate-limit", "0"),
        ("--rate-limit", "fast"),
        ("--cache-size", "big"),
        ("--port", "-1"),
        ("--export", "some"),
    ],
)
def test_invalid_values(option: str, value: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        parse("a", f"{option}={value}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "boom"], "is not a fault"),
        (["--port", "65536"], "--port"),
        (["--export-rows", "0"], "--export-rows"),
    ],
)
def test_invalid_arguments(started: list[ServerSettings], arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        serve.run(parse("a", *arguments))
    assert not started


def test_other_hosts_require_an_api_key() -> None:
    with pytest.raises(HistoryError, match="API key"):
        serve.run(parse(str(EXAMPLE), "--host", "0.0.0.0", "--port", "0"))


def test_missing_paths_and_ports_in_use() -> None:
    with pytest.raises(FileNotFoundError):
        serve.run(parse("nothing", "--port", "0"))
    with serving(EXAMPLE) as server, pytest.raises(OSError, match="can't listen on"):
        serve.run(parse(str(EXAMPLE), "--port", server.url.rpartition(":")[2]))


def test_printed_variables() -> None:
    settings = ServerSettings(paths=[])
    assert environment(settings, "127.0.0.1", 8090) == [
        "export WANDB_BASE_URL=http://127.0.0.1:8090",
        f"export WANDB_API_KEY={ANY_KEY}",
    ]
    assert environment(settings, "::1", 1)[0] == "export WANDB_BASE_URL=http://[::1]:1"
    assert "secret" not in environment(ServerSettings(paths=[], api_key="secret"), "::1", 1)[1]


def test_process_prints_two_lines_and_stops_on_a_signal() -> None:
    with serving(EXAMPLE) as server:
        assert server.query("{ viewer { entity } }") == {"viewer": {"entity": "histscan"}}
        assert [line.partition("=")[0] for line in server.printed] == ["export WANDB_BASE_URL", "export WANDB_API_KEY"]
    assert server.process.returncode == 0
    assert server.complaints == ["histscan serve: 1 run: histscan/examples/lissajous\n"]


def test_truncated_responses_close_the_connection() -> None:
    with serving(EXAMPLE, "--fault", "truncate@Cut") as server:
        with pytest.raises(requests.exceptions.RequestException):
            server.query("query Cut { viewer { entity } }")
        assert server.query("query Whole { viewer { entity } }") == {"viewer": {"entity": "histscan"}}


def test_verbose_prints_requests() -> None:
    with serving(EXAMPLE, "--verbose") as server:
        server.query("query Mine { viewer { entity } }")
    assert any("Mine: HTTP 200" in line for line in server.complaints)


def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "run-\x1b[31mred\u202e.wandb").write_bytes(EXAMPLE.read_bytes()[:7])
    (tmp_path / "run-\x1b]0;title\x07.wandb").write_bytes(b"no log")
    with serving(tmp_path, "--verbose") as server:
        server.query("{ viewer { entity } }")
    printed = "".join(server.complaints)
    assert r"local/uncategorized/\x1b[31mred\u202e" in printed
    assert r"run-\x1b]0;title\x07.wandb is not served" in printed
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
