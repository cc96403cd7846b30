"""The code blocks of the documentation, and the program that runs them.

`find_blocks` reads the fenced blocks of a Markdown file. ```` ```python ```` and ```` ```sh ```` blocks are run,
```` ```console ```` blocks are only shown. A ```` ```text ```` block right behind one that is run is its output, in
which `…` stands for anything. As a program, this file runs blocks in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["PEER", "Block", "Unit", "find_blocks", "find_units", "run_blocks"]

_FENCE = re.compile(r"^(?P<indent>[ ]*)```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.M | re.S)
_HEADING = re.compile(r"^##? (?P<title>.+?)(?: \{.*\})?$", re.M)
_TAB = re.compile(r'^=== "(?P<title>.+)"$', re.M)
_RUN = ("python", "sh")

PEER = "wandb"
"""The title of the tabs that show how others do a job."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: What follows the fence.
        code: The code, without indentation.
        line: The line of its first line of code.
        output: What it must print; None for anything.
        heading: The heading above it.
        tab: The title of the tab that it is in; empty outside of tabs.
    """

    language: str
    code: str
    line: int
    output: str | None
    heading: str
    tab: str


@dataclass(frozen=True)
class Unit:
    """Blocks that run in one process, one after the other.

    Attributes:
        name: The page, and what of it.
        page: The file.
        blocks: The blocks.
    """

    name: str
    page: Path
    blocks: Sequence[Block]


def find_blocks(page: Path) -> list[Block]:
    """Finds the blocks of a page that are run.

    Args:
        page: The Markdown file.

    Returns:
        The blocks.
    """
    text = page.read_text()
    found: list[Block] = []
    ends: list[int] = []
    fences = list(_FENCE.finditer(text))
    # What looks like a heading in a block is a comment.
    outside = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    for fence in fences:
        code = textwrap.dedent(fence["code"])
        if fence["language"] == "text" and found and not text[ends[-1] : fence.start()].strip():
            found[-1] = Block(**{**asdict(found[-1]), "output": code})
        elif fence["language"] in _RUN:
            line = text.count("\n", 0, fence.start("code")) + 1
            heading = _last(_HEADING, outside, fence.start())
            tab = _last(_TAB, outside, fence.start()) if fence["indent"] else ""
            found.append(Block(fence["language"], code, line, None, heading, tab))
            ends.append(fence.end())
    return found


def find_units(page: Path, *, recipes: bool) -> Iterator[Unit]:
    """Finds what runs in one process.

    Args:
        page: The Markdown file.
        recipes: True for a page whose blocks stand for themselves: each is a unit, except that those in tabs named
            `PEER` are one, because wandb takes seconds to start. Else the page is one unit.

    Yields:
        The units.
    """
    blocks = find_blocks(page)
    peers = [block for block in blocks if recipes and block.tab == PEER]
    if not recipes and blocks:
        yield Unit(page.name, page, blocks)
    if recipes:
        for block in blocks:
            if block.tab != PEER:
                yield Unit(f"{page.name}, {block.heading}{block.tab and ', '}{block.tab}", page, [block])
        yield Unit(f"{page.name}, {PEER}", page, peers)


def run_blocks(unit: Unit, folder: Path, environment: dict[str, str], timeout: float = 120) -> str:
    """Runs blocks in a process of their own.

    Args:
        unit: The blocks.
        folder: The working folder.
        environment: The environment of the process.
        timeout: Seconds that they may take.

    Returns:
        What is wrong; empty if everything ran and printed what it must.
    """
    parcel = json.dumps([str(unit.page), [asdict(block) for block in unit.blocks]])
    finished = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), parcel],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return "" if finished.returncode == 0 else f"{finished.stdout}{finished.stderr}" or "it ended without a message"


def _last(pattern: re.Pattern[str], text: str, end: int) -> str:
    found = list(pattern.finditer(text, 0, end))
    return found[-1]["title"] if found else ""


def _check_output(block: Block, printed: str) -> str:
    """Returns what is wrong with an output."""
    if block.output is None:
        return ""
    wanted, found = ("\n".join(line.rstrip() for line in text.strip().split("\n")) for text in (block.output, printed))
    pattern = ".*?".join(map(re.escape, wanted.split("…")))
    return "" if re.fullmatch(pattern, found, re.S) else f"it printed\n{found}\ninstead of\n{wanted}\n"


def _run_python(block: Block, page: str, names: dict[str, object]) -> str:
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.code, page, "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def _run_shell(block: Block) -> str:
    return subprocess.run(
        ["bash", "-euc", block.code], stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL
    ).stdout


def main(parcel: str) -> int:
    """Runs blocks, and says what is wrong.

    Args:
        parcel: The page and its blocks.

    Returns:
        0 if nothing is wrong.
    """
    page, blocks = json.loads(parcel)
    # As in a script: functions of the page can be pickled by name.
    names = sys.modules["__main__"].__dict__
    for block in (Block(**fields) for fields in blocks):
        try:
            printed = _run_python(block, page, names) if block.language == "python" else _run_shell(block)
        except BaseException:
            wrong = traceback.format_exc()
        else:
            wrong = _check_output(block, printed)
        if wrong:
            sys.stdout.write(f"{page}:{block.line}: {wrong}")
            return 1
    return 0


if __name__ == "__main__":
    # Python puts the folder of a script before its own library.
    sys.path.pop(0)
    code = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    # wandb waits at exit for its service: see tests.support.wandb_client.leave.
    os._exit(code)
