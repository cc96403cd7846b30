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
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("src/histscan/_core")


def core_extensions(*, debug: bool, sanitizers: str) -> list[Extension]:
    """Describes one extension for each ``.pyx`` of the core."""
    optimisation = "-O1" if debug or sanitizers else "-O3"
    compile_args = ["-std=c++17", optimisation, "-fvisibility=hidden", "-Wno-unused-function"]
    link_args: list[str] = []
    macros: list[tuple[str, str | None]] = []
    if debug:
        compile_args += ["-g", "-UNDEBUG"]
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("_GLIBCXX_ASSERTIONS", "1")]
    if sanitizers:
        sanitize = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"]
        compile_args += ["-g", "-fno-omit-frame-pointer", *sanitize]
        link_args += sanitize
    return [
        Extension(
            f"histscan._core.{source.stem}",
            [str(source)],
            language="c++",
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            define_macros=macros,
            depends=[str(path) for pattern in ("*.pxd", "*.hpp") for path in sorted(CORE.glob(pattern))],
        )
        for source in sorted(CORE.glob("*.pyx"))
    ]


def build() -> None:
    """Runs setuptools with the core's extensions."""
    debug = os.environ.get("HISTSCAN_DEBUG", "") not in ("", "0")
    sanitizers = os.environ.get("HISTSCAN_SANITIZE", "")
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
            core_extensions(debug=debug, sanitizers=sanitizers),
            compiler_directives=directives,
            annotate=debug,
            build_dir="build/debug" if debug else ("build/sanitize" if sanitizers else "build/release"),
            nthreads=os.cpu_count() or 1,
        ),
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )


build()
