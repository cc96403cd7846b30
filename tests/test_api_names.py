"""Names of runs and projects, in all the ways to write them, and what is a path instead."""

from __future__ import annotations

from typing import Any

import pytest

from histscan.api.names import looks_like_name, parse_project, parse_run


@pytest.mark.parametrize(
    "path", ["e/p/r", "/e/p/r/", "e/p/runs/r", "e/p:r", "p/r", "p/runs/r", "p:r", "r", " e / p / r "]
)
def test_ways_to_write_a_run(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "p")
    assert parse_run(path, lambda: "e") == ("e", "p", "r")


@pytest.mark.parametrize("path", ["", "/", "e//r", "a/b/c/d", "a/b/c:d/e", "r", None, 3])
def test_no_names_of_runs(monkeypatch: pytest.MonkeyPatch, path: Any) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    with pytest.raises(ValueError, match="run"):
        parse_run(path, lambda: "e")


def test_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "named")
    for path, name in (("a/b", ("a", "b")), ("b", ("e", "b")), (None, ("e", "named"))):
        assert parse_project(path, lambda: "e") == name
    wrong: Any
    for wrong in ("", "/", "a/b/c", "a//b", 3):
        with pytest.raises(ValueError, match="project"):
            parse_project(wrong, lambda: "e")


@pytest.mark.parametrize("text", ["e/p/r", "my team/my-project/1a2b3c4d", "e/p/runs/r"])
def test_names(text: str) -> None:
    assert looks_like_name(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "r", "p/r", "a/b/c/d", "e/p/", "/e/p/r", "./p/r", "../p/r", "~/p/r"),
        *("e/p/run.wandb", "e/p/h.parquet", "e/p/*", "e/p[0]/r", "data/wandb/offline-run-20260131_120000-abc"),
    ],
)
def test_paths(text: str) -> None:
    assert not looks_like_name(text)
