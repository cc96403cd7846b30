"""Says how to install the packages of an extra, in errors about a missing package."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["install_hint"]


def install_hint(extra: str) -> str:
    """Returns the command that installs the packages of an extra.

    The command names the packages and not ``histscan[…]``: if histscan was installed from a checkout or a wheel that no
    index has, pip would not find it.

    Args:
        extra: The extra of histscan: ``"arrow"``, ``"plot"``, …

    Returns:
        The command, for a shell: ``pip install 'pyarrow>=15'``; that of uv or pipx if one of them installed histscan.
    """
    try:
        installed: Distribution | None = distribution("histscan")
    except PackageNotFoundError:
        installed = None
    of_extra = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    needed = [
        text.partition(";")[0].strip() for text in (installed and installed.requires) or [] if of_extra.search(text)
    ]
    # A folder on sys.path has no metadata, and those of an editable installation may be of an older release.
    if installed is None or not needed:
        return f"install the packages of the extra {extra!r} in histscan's pyproject.toml"
    return f"{_installer(installed)} {' '.join(map(shlex.quote, needed))}"


def _installer(installed: Distribution) -> str:
    """Returns the beginning of the command."""
    if "pipx" in Path(sys.prefix).parts:
        return "pipx inject histscan"
    installer = (installed.read_text("INSTALLER") or "").strip()
    return "uv pip install" if installer == "uv" else "pip install"
