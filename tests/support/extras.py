"""The packages of the extras, as the metadata of the installation declare them."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import requires

__all__ = ["install_command"]


def install_command(extra: str) -> str:
    """What errors tell to do to install an extra."""
    of_extra = re.compile(rf'extra == "{extra}"')
    needed = [text.partition(";")[0].strip() for text in requires("histscan") or [] if of_extra.search(text)]
    return f"pip install {' '.join(map(shlex.quote, needed))}"
