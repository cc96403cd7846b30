"""`histscan --version`: what a bug report should say."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import pytest

import histscan
from histscan.cli.main import main
from tests.support import command_line


def lines_of(printed: str) -> dict[str, str]:
    first, *others = printed.splitlines()
    assert first == f"histscan {histscan.__version__}"
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in others}


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    told = lines_of(capsys.readouterr().out)
    assert told.pop("python").startswith(f"{platform.python_version()} (")
    assert platform.machine() in told.pop("core")
    assert {"orjson", "protobuf", "pyarrow", "pandas", "polars", "wandb"} <= set(told)
    for package, version in told.items():
        try:
            assert version == importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            assert version == "not installed"


def test_the_module_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    finished = command_line.run("--version")
    assert finished.returncode == 0
    with pytest.raises(SystemExit):
        main(["--version"])
    assert finished.stdout == capsys.readouterr().out


def test_vector_instructions_are_those_in_use() -> None:
    plain = command_line.run("--version", env={**os.environ, "HISTSCAN_BASELINE": "1"})
    found = lines_of(plain.stdout)["core"].split(",")[0]
    assert found == {"x86_64": "SSE2", "aarch64": "NEON", "arm64": "NEON"}.get(platform.machine(), "none")
    if platform.machine() == "x86_64" and platform.system() == "Linux":
        with open("/proc/cpuinfo") as file:
            flags = set(file.read().split())
        fast = lines_of(command_line.run("--version").stdout)["core"].split(",")[0]
        best = "AVX2" if {"avx2", "bmi1", "bmi2", "abm", "popcnt"} <= flags else "SSE2"
        if best == "AVX2" and {"avx512bw", "avx512vbmi", "avx512_vbmi2"} <= flags:
            best = "AVX-512"
        assert fast == best
