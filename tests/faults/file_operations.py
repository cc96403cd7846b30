"""What histscan does with files and downloads, as operations in which any call of the system may fail."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.ipc
import pyarrow.parquet

import histscan
from histscan.cli.main import main as run_command
from histscan.common.atomic import atomic_output
from histscan.errors import HistoryError
from histscan.sources import client, exported_requests
from histscan.sources.file_cache import read_limit, write_limit
from tests.faults.core_operations import LOG
from tests.support import wire
from tests.support.export_backend import Backend
from tests.support.graphql_server import serving
from tests.support.project_runs import write_run
from tests.support.stream_records import stats_record

__all__ = ["OLD", "OPERATIONS", "FileOperation", "prepare", "put_old", "serve_files", "shown"]

OLD = b"what was there before"
LONG_TEXT = "long " * 3_000


@dataclass(frozen=True)
class FileOperation:
    """An operation on files.

    Attributes:
        work: Does it, in a folder with the inputs. Returns what it has read.
        output: The file or the folder that it makes; none if empty.
        show: What the output holds.
        old: The folder with what is in the output before; if empty, a file has a text of ours, and a folder is missing.
        parts: True if the output has several parts, each of which may be the old or the new one.
        uses_server: True if it requests files from a server.
    """

    work: Callable[[Path], Any]
    output: str = ""
    show: Callable[[Path], Any] = Path.read_bytes
    old: str = ""
    parts: bool = False
    uses_server: bool = False


def command(*arguments: str) -> None:
    """Calls the command line, and raises an error if that reports one."""
    complaints = io.StringIO()
    with contextlib.redirect_stderr(complaints), contextlib.redirect_stdout(io.StringIO()):
        code = run_command(list(arguments))
    if code:
        assert "Traceback" not in complaints.getvalue(), complaints.getvalue()
        raise HistoryError(complaints.getvalue())


def export(folder: Path, name: str, source: str = "run.wandb") -> None:
    command("export", str(folder / source), "-o", str(folder / name))


def read_rows(name: str) -> Callable[[Path], Any]:
    return lambda folder: list(histscan.open(folder / name).scan_history())


def read_table(name: str) -> Callable[[Path], Any]:
    return lambda folder: histscan.open(folder / name).scan_history().to_arrow().to_pylist()


def read_batches(name: str) -> Callable[[Path], Any]:
    """Reads in two passes: the types of all columns first."""
    return lambda folder: [
        row for batch in histscan.open(folder / name).scan_history().batches() for row in batch.to_pylist()
    ]


def show_table(path: Path) -> Any:
    # NaN is not equal to itself.
    return repr(read_table(path.name)(path.parent))


def show_arrow(path: Path) -> Any:
    with pyarrow.ipc.open_file(path) as file:
        return repr(file.read_all().to_pylist())


def update_mirror(folder: Path) -> None:
    histscan.mirror(histscan.open_runs(folder / "logs"), folder / "mirror", system=True, threads=1)


def show_mirror(path: Path) -> Any:
    """Reads the files of a mirror, and the runs that it says it has."""
    if not (path / "mirror.jsonl").exists():
        return {}
    # Other programs read these, so each must be whole.
    for file in path.rglob("*.parquet"):
        pyarrow.parquet.read_table(file)
    left = [file.name for file in path.rglob(".*")]
    assert not left, f"left in the mirror: {left}"
    return {run.id: repr(list(run.scan_history())) for run in histscan.open_runs(path)}


def read_mirror(folder: Path) -> Any:
    return [
        (run.id, list(run.scan_history()), list(run.system_metrics()))
        for run in histscan.open_runs(folder / "read-mirror")
    ]


BACKENDS: list[Backend] = []


def download(folder: Path) -> Any:
    """Reads a history of exported files by way of the cache, or by pages where these can't be read."""
    os.environ["HISTSCAN_CACHE_DIR"] = str(folder / "downloads")
    return [(row["_step"], row["a"].split()[1]) for row in BACKENDS[-1].scan()]


def show_folder(path: Path) -> Any:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def write_atomically(folder: Path) -> None:
    """Writes what the functions do that plot."""
    with atomic_output(folder / "new.png") as output:
        for _ in range(3):
            output.write(b"picture" * 200_000)


@contextlib.contextmanager
def serve_files() -> Iterator[int]:
    """Runs the server that `download` uses, and retries without waiting; yields its port."""
    for module in (client, exported_requests):
        module.pause = lambda _: None  # type: ignore[attr-defined]
    with serving(lambda _: None) as server:  # type: ignore[arg-type,return-value]
        BACKENDS.append(Backend(server))
        yield int(server.url.rpartition(":")[2])


OPERATIONS = {
    "rows of a log": FileOperation(read_rows("run.wandb")),
    "columns of a log": FileOperation(read_table("run.wandb")),
    "rows of a long log": FileOperation(read_rows("long.wandb")),
    "columns of a long log": FileOperation(read_table("long.wandb")),
    "batches of a long log": FileOperation(read_batches("long.wandb")),
    "rows of a compressed log": FileOperation(read_rows("noisy.wandb.gz")),
    "rows of a resumed run": FileOperation(read_rows("resumed")),
    "the summary of a log": FileOperation(lambda folder: histscan.open(folder / "long.wandb").summary),
    "the last step of a log": FileOperation(lambda folder: histscan.open(folder / "long.wandb").lastHistoryStep),
    "rows of JSON Lines": FileOperation(read_rows("run.jsonl")),
    "rows of long JSON Lines": FileOperation(read_rows("long.jsonl")),
    "batches of long JSON Lines": FileOperation(read_batches("long.jsonl")),
    "rows of compressed JSON Lines": FileOperation(read_rows("run.jsonl.gz")),
    "rows of Parquet": FileOperation(read_rows("run.parquet")),
    "columns of Parquet": FileOperation(read_table("run.parquet")),
    "rows of row groups": FileOperation(read_rows("groups.parquet")),
    "batches of row groups": FileOperation(read_batches("groups.parquet")),
    "rows of a mirror": FileOperation(read_mirror),
    "export to JSON Lines": FileOperation(lambda folder: export(folder, "new.jsonl"), "new.jsonl"),
    "export to CSV": FileOperation(lambda folder: export(folder, "new.csv"), "new.csv"),
    "export to Parquet": FileOperation(lambda folder: export(folder, "new.parquet"), "new.parquet", show_table),
    "export to Arrow": FileOperation(lambda folder: export(folder, "new.arrow"), "new.arrow", show_arrow),
    "export of JSON Lines": FileOperation(lambda folder: export(folder, "new.csv", "run.jsonl"), "new.csv"),
    "export of a long log": FileOperation(
        lambda folder: export(folder, "new.parquet", "long.wandb"), "new.parquet", show_table
    ),
    "a picture": FileOperation(write_atomically, "new.png"),
    "a new mirror": FileOperation(update_mirror, "mirror", show_mirror, parts=True),
    "a later mirror": FileOperation(update_mirror, "mirror", show_mirror, old="read-mirror", parts=True),
    "a download": FileOperation(download, "downloads", show_folder, uses_server=True),
    "the limit of the cache": FileOperation(
        lambda folder: write_limit(folder / "cache", 77),
        "cache/histscan-cache-limit",
        lambda path: read_limit(path.parent),
    ),
}


def prepare(folder: Path) -> None:
    """Makes the inputs."""
    (folder / "cache").mkdir(mode=0o700)
    (folder / "run.wandb").write_bytes(LOG)
    for name in ("run.jsonl", "run.parquet"):
        export(folder, name)
    (folder / "run.jsonl.gz").write_bytes(gzip.compress((folder / "run.jsonl").read_bytes()))
    # Of several windows.
    rows = [{"_step": step, "loss": step / 3, "text": LONG_TEXT} for step in range(160)]
    long_log = write_run(folder / "long", "long", rows, config={"a": 1}, summary={"loss": 2.5})
    (folder / "long.wandb").write_bytes(long_log.read_bytes())
    shutil.rmtree(folder / "long")
    noise = random.Random(1)
    noisy = [{"_step": step, "text": noise.randbytes(2_000).hex()} for step in range(16)]
    noisy_log = write_run(folder / "noisy", "noisy", noisy)
    (folder / "noisy.wandb.gz").write_bytes(gzip.compress(noisy_log.read_bytes()))
    shutil.rmtree(folder / "noisy")
    (folder / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, folder / "groups.parquet", row_group_size=40, compression="none")
    for place, first in (("run-20260131_120000-r", 0), ("run-20260131_130000-r", 6)):
        numbers = [{"_step": step, "part": place[-5:], "x": step} for step in range(first, first + 9)]
        write_run(folder / "resumed", "r", numbers, place=place)
    # What a mirror has of an earlier state of the logs, and what the logs have now.
    for count in (1, 3):
        for number in range(count):
            mirrored = [{"_step": step, "note": f"{number} {step}"} for step in range(2 * count + number)]
            log = write_run(folder / "logs", f"run{number}", mirrored)
            log.write_bytes(wire.append_record(log.read_bytes(), stats_record({"cpu": str(number)})))
        if count == 1:
            histscan.mirror(histscan.open_runs(folder / "logs"), folder / "read-mirror", system=True, threads=1)


def put_old(operation: FileOperation, folder: Path) -> None:
    """Puts there what the output was before."""
    if not operation.output:
        return
    output = folder / operation.output
    remove(output)
    if operation.old:
        shutil.copytree(folder / operation.old, output)
    elif output.suffix or output.parent != folder:
        output.write_bytes(OLD)


def remove(output: Path) -> None:
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)


def shown(operation: FileOperation, folder: Path) -> Any:
    """Returns what the output holds; None without one."""
    if not operation.output:
        return None
    output = folder / operation.output
    if not output.exists():
        return {} if operation.parts or operation.uses_server else None
    return OLD if output.is_file() and output.read_bytes() == OLD else operation.show(output)
