"""Record `.wandb` logs with the real wandb client, offline, in a process of its own.

The client starts a service, reads the environment and registers exit handlers; none of that may reach the process that
runs the tests. So `record_run` hands the rows to a fresh interpreter, which runs this very file as a script. Handing
over another interpreter records with whichever release of wandb that one has installed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

Row = Mapping[str, Any]

_SCRIPT = Path(__file__).resolve()

# What would carry something of the machine into the log, or slow the recording down, is switched off. Settings that a
# release does not know are left out there (see `_known_settings`).
OFFLINE_SETTINGS: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "email": "nobody@example.com",
    "host": "recorder",
    "mode": "offline",
    "program": "record.py",
    "silent": True,
    "username": "nobody",
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def record_run(
    directory: Path,
    rows: Iterable[Row],
    *,
    run_id: str = "recorded",
    entity: str = "histscan",
    project: str = "fixtures",
    name: str = "recorded run",
    config: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    python: str | Path = sys.executable,
    timeout: float = 120.0,
) -> Path:
    """Record a run with the real wandb client and return its log.

    Args:
        directory: Folder that receives the log; made when it is missing. An earlier log of the same run is replaced.
        rows: One mapping for each `run.log` call, handed over as a stream of pickles. A mapping that holds a key
            `_step` is logged at that step. A nested `{"_type": "histogram", "values": […], "bins": […]}`
            becomes a `wandb.Histogram`, so a row is written the way a reader gets it back.
        run_id: Id of the run, which also names the file: `run-<run_id>.wandb`.
        entity: Entity of the run.
        project: Project of the run.
        name: Display name of the run.
        config: Configuration of the run; none by default.
        summary: Values set on the summary after the last row; none by default.
        settings: Settings of the wandb client beyond `OFFLINE_SETTINGS`, which they override.
        python: Interpreter that records; its wandb release writes the log. The running one by default.
        timeout: Seconds that the recording may take.

    Returns:
        The path of the recorded log inside `directory`.

    Raises:
        RuntimeError: If the client fails; the message carries what it printed.
        subprocess.TimeoutExpired: If the recording takes longer than `timeout`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"run-{run_id}.wandb"
    run_arguments = {"id": run_id, "entity": entity, "project": project, "name": name, "config": dict(config or {})}
    with tempfile.TemporaryDirectory(prefix="histscan-recording-") as workspace:
        parcel = Path(workspace) / "rows.pickle"
        with parcel.open("wb") as stream:
            pickle.dump((run_arguments, dict(summary or {}), {**OFFLINE_SETTINGS, **(settings or {})}), stream)
            for row in rows:
                pickle.dump(dict(row), stream)
        finished = subprocess.run(
            [str(python), str(_SCRIPT), str(parcel), str(log)],
            cwd=workspace,
            env=clean_environment(Path(workspace)),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    if finished.returncode != 0 or not log.is_file():
        raise RuntimeError(f"recording {log.name} failed:\n{finished.stdout}{finished.stderr}")
    return log


def clean_environment(workspace: Path) -> dict[str, str]:
    """Return an environment in which wandb sees no setting, key, cache or home of the user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    for name in ("HOME", "WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        environment[name] = str(workspace)
    environment["WANDB_MODE"] = "offline"
    environment["WANDB_SILENT"] = "true"
    environment["WANDB_ERROR_REPORTING"] = "false"
    return environment


def _known_settings(wandb: Any, settings: Mapping[str, Any]) -> Any:
    """Return wandb's settings object, without the settings of ours that this release does not know."""
    known = wandb.Settings.model_fields
    unknown = set(settings) - set(known) - set(OFFLINE_SETTINGS)
    if unknown:
        raise ValueError(f"wandb {wandb.__version__} knows no setting {', '.join(sorted(unknown))}")
    return wandb.Settings(**{name: value for name, value in settings.items() if name in known})


def _with_histograms(wandb: Any, value: Any) -> Any:
    """Return `value` with each mapping that describes a histogram made a `wandb.Histogram`."""
    if not isinstance(value, dict):
        return value
    if value.get("_type") == "histogram":
        return wandb.Histogram(np_histogram=(value["values"], value["bins"]))
    return {key: _with_histograms(wandb, item) for key, item in value.items()}


def _read_rows(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the rows that follow in a stream of pickles."""
    while True:
        try:
            row = pickle.load(stream)
        except EOFError:
            return
        yield row


def _record(parcel: Path, log: Path) -> None:
    """Log the rows in `parcel` with the wandb client of this interpreter, and move the log into place."""
    import wandb

    with parcel.open("rb") as stream:
        run_arguments, summary, settings = pickle.load(stream)
        run = wandb.init(dir=parcel.parent, settings=_known_settings(wandb, settings), **run_arguments)
        folder = Path(run.dir).parent
        for row in _read_rows(stream):
            step = row.pop("_step", None)
            run.log(_with_histograms(wandb, row), step=step, commit=True)
        run.summary.update(summary)
        run.finish()
    # `finish` can return before the service has flushed the last block of the log; ending the service waits for it.
    wandb.teardown()
    # The goal may be on another file system, so the bytes are copied.
    log.write_bytes((folder / f"run-{run_arguments['id']}.wandb").read_bytes())


if __name__ == "__main__":
    # Python puts the folder of a script before its own library.
    sys.path.pop(0)
    _record(Path(sys.argv[1]), Path(sys.argv[2]))
