"""Includes the files at the root of the checkout in pages, so that nothing is written twice.

`<!-- include: README.md#Speed -->` is replaced by the text below that heading, `<!-- include: SECURITY.md -->` by the
file without its title, `<!-- table: README.md#histscan -->` by the first table below that heading, and
`<!-- charts -->` by the pictures in `docs/assets/measured`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_INCLUDE = re.compile(r"^<!-- (?P<what>include|table): (?P<file>[\w.]+)(?:#(?P<heading>.+?))? -->$", re.M)
_CHARTS = "<!-- charts -->"
_TABLE = re.compile(r"(?:^\|.*\n)+", re.M)
_CODE = re.compile(r"^```.*?^```", re.M | re.S)
# Links between these files lead to their pages.
_PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
}


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Replaces the comments; called by mkdocs.

    Args:
        markdown: The page.
        config: The configuration of mkdocs.

    Returns:
        The page with what is included.

    Raises:
        ValueError: A file has no such heading or table.
    """
    root = Path(config.config_file_path).parent
    markdown = _INCLUDE.sub(lambda found: _included(root, found), markdown)
    pictures = sorted((root / "docs" / "assets" / "measured").glob("*.svg"))
    charts = "\n\n".join(f"![{picture.stem.replace('-', ' ')}](assets/measured/{picture.name})" for picture in pictures)
    return markdown.replace(_CHARTS, charts)


def _included(root: Path, found: re.Match[str]) -> str:
    section = _section(root / found["file"], found["heading"])
    if found["what"] == "include":
        return section
    table = _TABLE.search(section)
    if table is None:
        raise ValueError(f"{found['file']} has no table below {found['heading']!r}")
    return table[0]


def _section(file: Path, heading: str | None) -> str:
    text = file.read_text()
    outside = _CODE.sub(lambda code: " " * len(code[0]), text)
    if heading is None:
        body = text.partition("\n")[2]
    else:
        start = re.search(rf"^(?P<level>#+) {re.escape(heading)}$", outside, re.M)
        if start is None:
            raise ValueError(f"{file.name} has no heading {heading!r}")
        end = re.search(rf"^#{{1,{len(start['level'])}}} ", outside[start.end() :], re.M)
        body = text[start.end() : start.end() + end.start() if end else None]
    return _with_links(body)


def _with_links(text: str) -> str:
    def replace(found: re.Match[str]) -> str:
        name = found["file"]
        return f"[{found['text']}]({_PAGES[name]})" if name in _PAGES else found["text"]

    return re.sub(r"\[(?P<text>[^\]]+)\]\((?P<file>[A-Z]+\.md)\)", replace, text)
