"""Builds the compiled core; everything else about the package is in pyproject.toml.

Two environment variables change what is built:

``HISTSCAN_DEBUG=1``
    Bounds checks, ``assert`` statements, line tracing and an annotated page per module.
``HISTSCAN_SANITIZE=address,undefined``
    The named sanitizers of the C++ compiler (``make sanitize`` runs the core's tests under them).

A failed compile fails the installation: there is no slower twin to fall back to.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("src/histscan/_core")


class BuildCore(build_ext):  # type: ignore[misc]
    """Compiles only what has changed for a checkout, and everything for a wheel.

    pip gives an editable installation empty folders to build in, and all would be compiled each time it runs.
    """

    def finalize_options(self) -> None:
        """Chooses where to build, and whether what is there can be used."""
        super().finalize_options()
        if self.inplace:
            kept = build_folder() / sys.implementation.cache_tag
            self.build_temp = str(kept / "objects")
            self.build_lib = str(kept / "libraries")
        else:
            # What is in build/ may be of another kind, such as with sanitizers, and would be packed as it is.
            self.force = True


def is_debug() -> bool:
    """Returns True if the environment asks for a build for debugging."""
    return os.environ.get("HISTSCAN_DEBUG", "") not in ("", "0")


def sanitizers() -> str:
    """Returns the sanitizers that the environment asks for, as the compiler's option takes them."""
    return os.environ.get("HISTSCAN_SANITIZE", "")


def build_folder() -> Path:
    """Returns the folder for the files of this kind of build."""
    return Path("build", "debug" if is_debug() else "sanitize" if sanitizers() else "release")


def core_extensions() -> list[Extension]:
    """Describes one extension for each ``.pyx`` of the core."""
    debug, checks = is_debug(), sanitizers()
    compile_args = ["-std=c++17", "-O1" if debug or checks else "-O3", "-fvisibility=hidden", "-Wno-unused-function"]
    link_args: list[str] = []
    macros: list[tuple[str, str | None]] = []
    # Python's own flags have -g, which makes a release take a third longer to compile and its files six times as large.
    compile_args.append("-g" if debug or checks else "-g0")
    if debug:
        compile_args.append("-UNDEBUG")
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("_GLIBCXX_ASSERTIONS", "1")]
    if checks:
        sanitize = [f"-fsanitize={checks}", "-fno-sanitize-recover=undefined"]
        compile_args += ["-fno-omit-frame-pointer", *sanitize]
        link_args += sanitize
    # The flags are in this file.
    depends = ["setup.py", *(str(path) for pattern in ("*.pxd", "*.hpp") for path in sorted(CORE.rglob(pattern)))]
    return [
        Extension(
            ".".join(["histscan._core", *source.relative_to(CORE).with_suffix("").parts]),
            [str(source)],
            language="c++",
            include_dirs=[str(CORE)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            define_macros=macros,
            depends=depends,
        )
        for source in sorted(CORE.rglob("*.pyx"))
    ]


def require_macos() -> None:
    """Compiles for macOS 13.3 or later, the first to have `std::to_chars` for doubles."""
    configured = sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
    if configured and tuple(map(int, str(configured).split("."))) < (13, 3):
        os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "13.3")


def build() -> None:
    """Runs setuptools with the core's extensions."""
    debug = is_debug()
    require_macos()
    directives = {
        "language_level": 3,
        "boundscheck": debug,
        "wraparound": False,
        "initializedcheck": debug,
        "cdivision": True,
        "embedsignature": True,
        "linetrace": debug,
    }
    setup(
        ext_modules=cythonize(
            core_extensions(),
            compiler_directives=directives,
            annotate=debug,
            build_dir=str(build_folder()),
            nthreads=os.cpu_count() or 1,
        ),
        cmdclass={"build_ext": BuildCore},
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )


build()
