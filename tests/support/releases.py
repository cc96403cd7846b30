"""Releases of wandb that install() works with, each in a virtual environment of its own inside the checkout.

An environment is made when it is first needed, and made up to date when what belongs into it changes.
`python -m tests.support.releases 0.27.0 0.31.0` runs the tests of `tests/matrix` against these releases, without
releases against all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import requires
from pathlib import Path

from tests.support import matrix_runs
from tests.support.matrix_runs import SERVERS, WORKSPACE
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import client_environment

RELEASES = ("0.22.3", "0.23.1", "0.25.0", "0.26.1", "0.27.0", "0.27.2", "0.28.2", "0.29.0", "0.30.0", "0.31.0")
# Between those: each differs from both of its neighbours in what install() replaces.
FURTHER_RELEASES = ("0.25.1",)

# Runs pytest, and ends as every process that asks wandb.
_PYTEST = """
import sys, pytest
from tests.support.wandb_client import leave
leave(int(pytest.main(sys.argv[1:])))
"""

# The options of each server. `failing` fails every second request for a page.
_SERVED: Mapping[str, Sequence[str]] = {
    "complete": ["--export", "all", "--export-rows", "1000"],
    "unexported": ["--export", "none"],
    "behind": ["--export", "all", "--live-rows", "400"],
    "failing": [
        "--export=all",
        "--live-rows=1500",
        "--fault=errors@HistoryPage:every=2",
        "--fault=403@SampledHistoryPage:every=2",
    ],
    "refusing": ["--export=all", "--fault=errors@RunParquetHistory", "--fault=403@HistoryPage"],
}


def python_of(release: str, extra: str = "arrow") -> Path:
    """Return the interpreter of an environment that has a release of wandb, and everything that histscan needs.

    Args:
        release: The release.
        extra: The extra of histscan's that is to be there, too; each has an environment of its own.

    Raises:
        subprocess.CalledProcessError: If the environment can't be made.
    """
    folder = ROOT / ".venvs" / (f"wandb-{release}" if extra == "arrow" else f"wandb-{release}-{extra}")
    python = folder / "bin" / "python"
    wanted = "\n".join([f"Python {sys.version}", f"wandb=={release}", "pytest>=8", *_requirements(extra)])
    stamp = folder / ".requirements"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *wanted.split("\n")[1:]], check=True)
            stamp.write_text(wanted)
    return python


def _requirements(extra: str) -> list[str]:
    """What histscan needs with one of its extras."""
    wanted = []
    for requirement in requires("histscan") or []:
        specifier, _, marker = requirement.partition(";")
        if not marker or marker.strip().replace("'", '"') == f'extra == "{extra}"':
            wanted.append(specifier.strip())
    return wanted


@contextlib.contextmanager
def matrix_servers() -> Iterator[dict[str, ServerProcess]]:
    """Run the servers that the tests of the matrix ask.

    Yields:
        The servers by name.
    """
    with tempfile.TemporaryDirectory(prefix="histscan-matrix-") as folder, contextlib.ExitStack() as stack:
        runs = Path(folder)
        matrix_runs.write_runs(runs)
        yield {name: stack.enter_context(serving(runs, *options)) for name, options in _SERVED.items()}


def run_matrix(
    python: str | Path, servers: Mapping[str, ServerProcess], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the tests of the matrix in an environment.

    Args:
        python: The environment's interpreter.
        servers: From `matrix_servers`.
        options: Further options for pytest.

    Returns:
        How pytest ended, and what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="histscan-matrix-") as folder:
        environment = client_environment(servers["complete"].url, Path(folder))
        environment[SERVERS] = json.dumps({name: server.url for name, server in servers.items()})
        environment[WORKSPACE] = folder
        environment["PYTHONPATH"] = str(ROOT / "src")
        command = [python, "-c", _PYTEST, "tests/matrix", "--override-ini=python_files=check_*.py"]
        command += ["--override-ini=addopts=-ra --strict-markers", "-p", "no:cacheprovider", *options]
        return subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )


def main(releases: Sequence[str]) -> int:
    """Run the matrix for these releases, or for all.

    Args:
        releases: The releases; none for all.

    Returns:
        The exit code: 0 if all tests pass.
    """
    unknown = set(releases) - {*RELEASES, *FURTHER_RELEASES}
    if unknown:
        print(f"not among the releases: {', '.join(sorted(unknown))}", file=sys.stderr)  # noqa: T201
        return 2
    failed = False
    with matrix_servers() as servers:
        for release in releases or sorted({*RELEASES, *FURTHER_RELEASES}):
            python = python_of(release)
            started = time.monotonic()
            finished = run_matrix(python, servers, "--quiet")
            failed = failed or finished.returncode != 0
            said = finished.stdout.strip()
            said = said if finished.returncode else said.splitlines()[-1]
            print(f"wandb {release}: {said} ({time.monotonic() - started:.1f} s)", flush=True)  # noqa: T201
    return int(failed)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
