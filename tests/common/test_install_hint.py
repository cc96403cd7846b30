"""The commands in errors about missing packages: they must work however histscan was installed."""

from __future__ import annotations

import importlib.metadata
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from histscan.common import install_hint as module
from histscan.common.install_hint import install_hint
from tests.support.extras import install_command


@pytest.mark.parametrize("extra", ["arrow", "pandas", "polars", "plot", "serve", "zstd", "dask", "ray"])
def test_names_the_packages_of_the_extra(extra: str) -> None:
    if extra not in importlib.metadata.metadata("histscan").get_all("Provides-Extra", []):
        pytest.skip("the metadata of this editable installation are older than the extra")
    command = install_hint(extra)
    assert command == install_command(extra)
    assert "histscan" not in command
    assert len(shlex.split(command)) > len(["pip", "install"])


def test_pip_accepts_the_command() -> None:
    """A dry run without an index: what is installed already is found to be enough, and nothing is looked up."""
    pip, *arguments = shlex.split(install_hint("arrow"))
    assert pip == "pip"
    finished = subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--dry-run", "--no-index", "--no-deps"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Requirement already satisfied: pyarrow" in finished.stdout


class Installed(importlib.metadata.Distribution):
    """histscan as another tool installed it."""

    def __init__(self, installer: str) -> None:
        self._installer = installer

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return (
                'Name: histscan\nProvides-Extra: zstd\nRequires-Dist: a>=1; python_version < "3.14" and extra == "zstd"'
            )
        return self._installer if filename == "INSTALLER" else None

    def locate_file(self, path: object) -> Path:
        raise AssertionError


@pytest.mark.parametrize(
    ("installer", "begins"), [("uv", "uv pip install"), ("pip\n", "pip install"), ("", "pip install")]
)
def test_the_installer(installer: str, begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "distribution", lambda name: Installed(installer))
    assert install_hint("zstd") == f"{begins} 'a>=1'"


def test_pipx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/someone/.local/share/pipx/venvs/histscan")
    assert install_hint("arrow") == install_command("arrow").replace("pip install", "pipx inject histscan")


def test_a_folder_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", distribution)
    assert install_hint("arrow") == "install the packages of the extra 'arrow' in histscan's pyproject.toml"
