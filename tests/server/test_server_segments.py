"""`histscan serve` joins the logs of a resumed run, and serves logs whose steps are missing or not whole numbers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

import histscan
from tests.support.json_corpus import fingerprint
from tests.support.log_oracle import rows_by_wandb
from tests.support.paths import REAL_LOGS, SEGMENTS
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import Question, ask_wandb

RESUMED = "local/train/h465zmzw"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("wandb")
    for log in SEGMENTS:
        run_folder = folder / log.name.replace("resumed-", "run-").removesuffix(".wandb")
        run_folder.mkdir()
        shutil.copy(log, run_folder / "run-h465zmzw.wandb")
    # A copy of a segment must not be served twice.
    (folder / "copies").mkdir()
    shutil.copy(SEGMENTS[0], folder / "copies" / "run-h465zmzw.wandb")
    for name in ("tbsync-0.16.6", "ultralytics-0.13.4-no-step", "wandb-golden-old_bad_step_types"):
        shutil.copy(REAL_LOGS / f"{name}.wandb", folder)
    with serving(folder) as running:
        yield running


def test_wandb_client_gets_every_row_of_every_segment(server: ServerProcess) -> None:
    expected = [row for log in SEGMENTS for row in rows_by_wandb(log.read_bytes())]
    rows, last_step = ask_wandb(
        server.url, [Question("scan_history", RESUMED, {}), Question("lastHistoryStep", RESUMED)]
    )
    assert fingerprint(rows) == fingerprint(expected)
    assert last_step == expected[-1]["_step"]


@pytest.mark.parametrize("source", ["pages", "parquet"])
def test_histscan_client_gets_every_row(source: str, server: ServerProcess) -> None:
    run = histscan.Api(base_url=server.url, api_key="x" * 40).run(RESUMED)
    steps = [row["_step"] for row in run.scan_history(["_step"], source=source)]  # type: ignore[arg-type]
    assert steps == [row["_step"] for log in SEGMENTS for row in rows_by_wandb(log.read_bytes())]


@pytest.mark.parametrize("name", ["tbsync-0.16.6", "ultralytics-0.13.4-no-step", "wandb-golden-old_bad_step_types"])
def test_wandb_client_gets_every_row_of_logs_without_steps(name: str, server: ServerProcess) -> None:
    log = REAL_LOGS / f"{name}.wandb"
    run = histscan.open(log)
    expected = rows_by_wandb(log.read_bytes())
    path = f"{'local'}/{run.project or 'uncategorized'}/{run.id}"
    rows, last_step = ask_wandb(server.url, [Question("scan_history", path, {}), Question("lastHistoryStep", path)])
    assert fingerprint(rows) == fingerprint(expected)
    assert last_step == run.lastHistoryStep
