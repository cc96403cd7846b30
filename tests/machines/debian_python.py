"""Runs tests in a Python that this machine does not have: for another processor, or of a newer release.

    python -m tests.machines.debian_python arm64 bookworm tests/core
    python -m tests.machines.debian_python amd64 sid tests/core

debootstrap unpacks Debian's packages of an architecture and a suite below ``.venvs``, from the mirror that apt uses.
This machine's compiler, or its cross compiler, compiles the core with the headers of that Python, and pip installs
wheels for it. A script calls the interpreter by qemu, or by its own dynamic linker. Nothing is installed on this
machine, and neither a chroot nor binfmt_misc is needed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = "ca-certificates,libpython3-dev,libstdc++6,python3"

NOT_NEEDED = re.compile(r"(build|mypy|py-?spy|ipykernel|ipywidgets|nbclient|pysocks|shtab|matplotlib)\b")
"""Requirements of tests that are not run here; each takes time to install under emulation."""

PACKAGES_FOLDER = "usr/lib/python3/dist-packages"
"""Where Debian's interpreters look for packages, in the root folder."""

# Interpreters that tests start must be called by the script, too. Debian's Python has a sitecustomize of its own.
SITE = "{library}\nimport sys; sys.executable = {launcher!r}\n"


@dataclass(frozen=True)
class Processor:
    """What there is for one of Debian's architectures.

    Attributes:
        triplet: The name that compilers have for it.
        linker: The dynamic linker, in the root folder.
        emulator: The program that runs its programs on another processor.
    """

    triplet: str
    linker: str
    emulator: str

    @property
    def is_native(self) -> bool:
        """True if this machine runs its programs."""
        return os.uname().machine == self.triplet.partition("-")[0]


PROCESSORS = {
    "amd64": Processor("x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2", "qemu-x86_64-static"),
    "arm64": Processor("aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1", "qemu-aarch64-static"),
}


def run(*command: str | Path, **environment: str) -> None:
    """Runs a command that must succeed."""
    if shutil.which(command[0]) is None:
        raise SystemExit(
            f"{command[0]} is not installed: apt install debootstrap, and for another processor "
            "qemu-user-static g++-aarch64-linux-gnu"
        )
    finished = subprocess.run(command, cwd=ROOT, env=os.environ | environment)
    if finished.returncode:
        raise SystemExit(finished.returncode)


def find_mirror() -> str:
    """Returns the URL of Debian's packages that apt is configured with."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if not found:
        raise SystemExit("apt knows no packages of Debian: run apt-get update")
    return found[0]


def unpack_root(root: Path, architecture: str, suite: str) -> None:
    """Unpacks Debian's packages, without the scripts that would install them, into a folder."""
    if (root / "unpacked").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    options = (f"--arch={architecture}", "--foreign", "--variant=minbase", f"--include={PACKAGES}")
    run("debootstrap", *options, suite, root, find_mirror())
    archives = root / "var" / "cache" / "apt" / "archives"
    for package in sorted(archives.glob("*.deb")):
        run("dpkg-deb", "-x", package, root)
        package.unlink()
    # Those of this machine are meant by these paths.
    for name in ("dev", "proc", "run", "sys", "tmp"):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "unpacked").touch()


def write_launcher(folder: Path, processor: Processor, release: str) -> Path:
    """Writes the script that calls the interpreter, and returns its path."""
    root = folder / "root"
    interpreter = str(root / "usr" / "bin" / f"python{release}")
    if processor.is_native:
        libraries = f"{root}/usr/lib/{processor.triplet}"
        command = [str(root / processor.linker), "--library-path", libraries, interpreter]
    else:
        command = [processor.emulator, "-L", str(root), interpreter]
    launcher = folder / "python"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    launcher.chmod(0o755)
    return launcher


def test_requirements() -> list[str]:
    """Returns what the tests need, from ``pyproject.toml``."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.findall(r"^(?:dependencies|arrow|pandas|polars|serve|zstd|test) = \[(.*?)\]$", text, re.M | re.S)
    named = [item for part in found for item in re.findall(r'"([^"]+)"', part)]
    return [item for item in named if not item.startswith("histscan") and not NOT_NEEDED.match(item)]


def install_requirements(launcher: Path, folder: Path, processor: Processor) -> None:
    """Installs what the tests need, unless that is what was installed last."""
    wanted = test_requirements()
    note = folder / "requirements.txt"
    if note.exists() and note.read_text() == "\n".join(wanted):
        return
    site = folder / "root" / PACKAGES_FOLDER
    shutil.rmtree(site, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "--python", launcher)
    run(*pip, "install", "--quiet", "--only-binary=:all:", "--no-compile", "--target", site, *wanted)
    (site / "histscan.pth").write_text(SITE.format(library=folder / "library", launcher=str(launcher)))
    if not processor.is_native:
        # wandb's client starts this program, which the system could not run. Both environments have the same release.
        program = Path("wandb", "bin", "wandb-core")
        shutil.copy2(Path(sysconfig.get_path("platlib")) / program, site / program)
    note.write_text("\n".join(wanted))


def compile_core(folder: Path, processor: Processor, release: str) -> None:
    """Puts the package into the folder ``library``, with a core that this machine's Cython and compilers compile."""
    library, include = folder / "library", folder / "include"
    # The folders of Python's headers alone: the compiler has its own C library.
    for name in (f"python{release}", f"{processor.triplet}/python{release}"):
        link = include / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(folder / "root" / "usr" / "include" / name)
    compilers = {} if processor.is_native else {"CC": f"{processor.triplet}-gcc", "CXX": f"{processor.triplet}-g++"}
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir()
    run(
        *(sys.executable, "setup.py", "--quiet", "dist_info", "--output-dir", library),
        *("build_py", "--build-lib", library),
        *("build_ext", "--build-lib", library, "--build-temp", folder / "objects"),
        *("--include-dirs", f"{include / f'python{release}'}{os.pathsep}{include}"),
        SETUPTOOLS_EXT_SUFFIX=f".cpython-{release.replace('.', '')}-{processor.triplet}.so",
        **compilers,
    )


def main() -> None:
    """Makes the Python of an architecture and a suite, and calls pytest in it with the arguments after them."""
    architecture, suite, *arguments = sys.argv[1:]
    processor = PROCESSORS[architecture]
    folder = ROOT / ".venvs" / f"debian-{architecture}-{suite}"
    unpack_root(folder / "root", architecture, suite)
    (default,) = (folder / "root" / "usr" / "bin").glob("python3")
    release = os.readlink(default).removeprefix("python")
    launcher = write_launcher(folder, processor, release)
    install_requirements(launcher, folder, processor)
    compile_core(folder, processor, release)
    # Emulated, importing what the tests need takes 15 seconds without the compiled modules, and 4 with them. Some tests
    # start interpreters of their own.
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    run(launcher, "-m", "pytest", *arguments, **bytecode)


if __name__ == "__main__":
    main()
