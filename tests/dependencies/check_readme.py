"""What the README shows first: a recorded run, the command line, a local server and runs by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import histscan

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "lissajous-regression.wandb"
COMMAND = [sys.executable, "-m", "histscan"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    command = [*COMMAND, "serve", str(EXAMPLES), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "WANDB_BASE_URL=" in line:
                    yield line.split("WANDB_BASE_URL=")[1].split()[0].strip("'\"")
                    break
            else:
                pytest.fail("the server did not start")
        finally:
            process.terminate()


def test_recorded_run() -> None:
    run = histscan.open(EXAMPLE)
    assert run.config["batch_size"] > 0
    rows = list(run.scan_history(keys=["loss", "validation.loss"], min_step=100, max_step=2000))
    assert rows
    assert {key for row in rows for key in row} == {"loss", "validation.loss"}
    assert len(run.history(samples=50)) == 50
    assert [key for key in run.keys("validation.l*")] == ["validation.loss"]  # noqa: C416 - keys are texts


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", str(EXAMPLE)],
        ["head", str(EXAMPLE), "-k", "loss", "-n", "5"],
        ["keys", str(EXAMPLE), "validation*"],
        ["runs", str(EXAMPLES)],
        ["--version"],
    ],
)
def test_commands(arguments: list[str]) -> None:
    finished = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True)
    assert finished.stdout.strip()


def test_plot(tmp_path: Path) -> None:
    goal = tmp_path / "loss.png"
    command = [*COMMAND, "plot", str(EXAMPLE), "-k", "loss", "--smooth", "--log-y", "-o", str(goal)]
    subprocess.run(command, check=True, capture_output=True)
    assert goal.read_bytes().startswith(b"\x89PNG")


def test_runs_by_name(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path))
    local = histscan.open(EXAMPLE)
    api = histscan.Api(base_url=server, api_key="local0000000000000000000000000000000000")
    run = api.run("/".join(local.path))
    expected = [row["loss"] for row in local.scan_history(["loss"])]
    for source in ("pages", "parquet"):
        assert [row["loss"] for row in run.scan_history(["loss"], source=source)] == expected
    assert run.to_polars(["loss"])["loss"].drop_nulls().to_list() == expected
    assert len(api.runs("/".join(local.path[:2]))) == 1
