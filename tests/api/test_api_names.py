"""Names of runs and projects in all their forms, and texts that are paths instead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from histscan.api.addresses import PageAddress, is_page_address, parse_page_address
from histscan.api.names import looks_like_name, parse_project, parse_run

CLOUD, FORGE, COMPANY = "https://api.wandb.ai", "https://api.forge.coreweave.com", "https://wandb.company.com"


@pytest.mark.parametrize(
    "path",
    [
        *("e/p/r", "/e/p/r/", "e/p/runs/r", "/e/p/runs/r", "e/p:r", "p/r", "p/runs/r", "p:r", "r", " e / p / r "),
        *("/runs/r", "/sweeps/r", "e/p/sweeps/r", "runs/p/r", "e/runs/runs/r", "e/p/runs/runs", "runs/r", "e/p/r:s"),
        *("e/p:r:s", "e:p:r", "my team/my [p] *1*/r #1%20", "é/ü/✓"),
        *("", "/", "e//r", "a/b/c/d", "a/b/c:d/e", "e/p/runs/r/overview", "e/p/", " "),
    ],
)
def test_ways_to_write_a_run(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "named")
    theirs: Any = SimpleNamespace(settings={"entity": "own", "project": "named"})
    try:
        expected = wandb.Api._parse_path(theirs, path)
    except ValueError:
        with pytest.raises(ValueError, match="run"):
            parse_run(path, lambda: "own")
    else:
        assert parse_run(path, lambda: "own") == expected


@pytest.mark.parametrize("path", ["r", None, 3])
def test_no_names_of_runs(path: Any) -> None:
    with pytest.raises(ValueError, match="run"):
        parse_run(path, lambda: "e")


def test_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_project(None, lambda: "e") == ("e", "uncategorized")
    monkeypatch.setenv("WANDB_PROJECT", "named")
    for path, name in (("a/b", ("a", "b")), ("b", ("e", "b")), (None, ("e", "named"))):
        assert parse_project(path, lambda: "e") == name
    wrong: Any
    for wrong in ("", "/", "a/b/c", "a//b", 3):
        with pytest.raises(ValueError, match="project"):
            parse_project(wrong, lambda: "e")


@pytest.mark.parametrize(
    "text",
    [
        *("e/p/r", "my team/my-project/1a2b3c4d", "e/p/runs/r", "wandb/examples/1a2b3c4d", "e/runs/r", "e/p/v1.0"),
        *("e/p[0]/r", "e/a*b/r", "e/[p]/runs/r", "e/été #2/r", "e/p/run-1", "e/run-2/r", "e/wandb/r"),
    ],
)
def test_names(text: str) -> None:
    assert looks_like_name(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "r", "p/r", "a/b/c/d", "e/p/", "/e/p/r", "./p/r", "../p/r", "~/p/r", "~user/p/r", ".wandb/x/y"),
        *("e/p/run.wandb", "e/p/h.parquet", "e/p/h.PARQUET", "e/p/h.jsonl.gz", "logs/today/debug.log", "e/p/*"),
        *("e/*/r", "e/**/r", "e*/p/r", "e[0]/p/r", "e/p?/r", "runs/mnist/1", "a/b/..", "a/./b", "wandb/latest-run"),
        *("wandb/latest-run/files", "out/wandb/latest-run", "data/wandb/offline-run-20260131_120000-abc"),
        *("wandb/run-20230101_120000-1a2b3c4d/files", "out/wandb/run-20230101_120000-1a2b3c4d", r"a\b/c/d"),
    ],
)
def test_paths(text: str) -> None:
    assert not looks_like_name(text)


@pytest.mark.parametrize(
    ("address", "base_url", "found"),
    [
        ("https://wandb.ai/e/p/runs/r?nw=nwuserme", CLOUD, (CLOUD, "e", "p", "r")),
        ("https://wandb.ai/e/p/runs/r/overview#x", CLOUD, (CLOUD, "e", "p", "r")),
        ("  https://wandb.ai/e/p/runs/r/ ", CLOUD, (CLOUD, "e", "p", "r")),
        ("wandb.ai/e/p/runs/r", CLOUD, (CLOUD, "e", "p", "r")),
        ("HTTPS://App.Wandb.ai/e/p/runs/r", FORGE, (FORGE, "e", "p", "r")),
        ("https://forge.coreweave.com/wandb/e/p/runs/r/logs", CLOUD, (CLOUD, "e", "p", "r")),
        ("forge.coreweave.com/wandb/e/p/workspace?nw=x", FORGE, (FORGE, "e", "p", None)),
        ("https://forge.coreweave.com/wandb/e/p/runs/r", COMPANY, (CLOUD, "e", "p", "r")),
        ("https://wandb.ai/my%20team/100%25%20%5Bp%5D/runs/a%2Fb", CLOUD, (CLOUD, "my team", "100% [p]", "a/b")),
        ("https://wandb.ai/e/runs/runs/runs", CLOUD, (CLOUD, "e", "runs", "runs")),
        ("https://wandb.ai/e/p", CLOUD, (CLOUD, "e", "p", None)),
        ("https://wandb.ai/e/p/sweeps/s", CLOUD, (CLOUD, "e", "p", None, "s")),
        ("https://host/x/e/p/sweeps/s", CLOUD, ("https://host/x", "e", "p", None, "s")),
        ("https://wandb.company.com/e/p/runs/r", COMPANY, (COMPANY, "e", "p", "r")),
        ("https://wandb.company.com/e/p/runs/r", CLOUD, (COMPANY, "e", "p", "r")),
        ("https://host/x/y/e/p/runs/r", CLOUD, ("https://host/x/y", "e", "p", "r")),
        ("https://host/x/e/p/workspace", "https://host/x", ("https://host/x", "e", "p", None)),
        ("https://app.company.com/e/p/runs/r", "https://api.company.com", ("https://api.company.com", "e", "p", "r")),
        ("https://app.company.com/e/p/runs/r", CLOUD, ("https://api.company.com", "e", "p", "r")),
        ("http://[::1]:8080/e/p/runs/r", CLOUD, ("http://[::1]:8080", "e", "p", "r")),
    ],
)
def test_addresses(address: str, base_url: str, found: tuple[Any, ...]) -> None:
    page = parse_page_address(address, base_url)
    assert page == PageAddress(*found)


@pytest.mark.parametrize("text", ["e/p/r", "wandb.ai", "s3://bucket/e/p", "notwandb.ai/e/p/r", ""])
def test_no_addresses(text: str) -> None:
    assert not is_page_address(text)
    assert parse_page_address(text, CLOUD) is None


@pytest.mark.parametrize("address", ["https://wandb.ai", "https://wandb.ai/e", "https://host:x/e/p", "http://[::1/e/p"])
def test_addresses_of_no_run_or_project(address: str) -> None:
    with pytest.raises(ValueError, match="entity/project/runs/run_id"):
        parse_page_address(address, CLOUD)


def test_an_error_does_not_show_what_may_be_secret_in_an_address() -> None:
    with pytest.raises(ValueError, match=r"https://wandb\.company\.com/e/p/runs/r") as failure:
        parse_page_address("https://me:hunter2@wandb.company.com/e/p/runs/r?accessToken=hunter3", CLOUD)
    assert "hunter" not in str(failure.value)
