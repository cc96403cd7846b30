"""The site of the documentation: it needs no network, and its links and anchors lead somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

import histscan
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None, reason="mkdocs is not installed: `make docs` builds the site and runs these tests"
)

BASE = "file:///site/"


class Page(HTMLParser):
    """What a page loads, where its links lead, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value}
        self.anchors.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("canonical", "prev", "next"):
            pass
        else:
            self.loads += [found[name] for name in ("src", "href", "poster", "data") if name in found]
            self.loads += [part.split()[0] for part in found.get("srcset", "").split(",") if part.strip()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: that of `make docs`, or a new one."""
    if built := os.environ.get("HISTSCAN_SITE"):
        return ROOT / built
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder


@cache
def read_page(path: Path) -> Page:
    return Page(path.read_text())


def pages_of(site: Path) -> list[Path]:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    return pages


def is_outside(address: str) -> bool:
    return urlsplit(address).scheme not in ("", "file", "data") or address.startswith("//")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = {address for page in pages_of(site) for address in read_page(page).loads}
    assert len(loaded) > 3
    assert not [address for address in loaded if is_outside(address)]
    for sheet in site.rglob("*.css"):
        parts = sheet.read_text().split("url(")[1:]
        assert not [part[:60] for part in parts if is_outside(part.strip("'\"")[:60])], sheet


def test_links_and_anchors_lead_somewhere(site: Path) -> None:
    wrong = []
    seen = 0
    for path in pages_of(site):
        page = read_page(path)
        for address in [*page.links, *page.loads]:
            if is_outside(address) or address.startswith("data:") or path.name == "404.html":
                continue
            target = urlsplit(urljoin(BASE + path.relative_to(site).as_posix(), address))
            file = site / unquote(target.path).removeprefix("/site/")
            file = file / "index.html" if file.is_dir() else file
            seen += 1
            if not file.is_file():
                wrong.append(f"{path.relative_to(site)}: {address}: there is no such file")
            elif target.fragment and unquote(target.fragment) not in read_page(file).anchors | {"__top"}:
                wrong.append(f"{path.relative_to(site)}: {address}: there is no such anchor")
    assert seen > 500
    assert not wrong, "\n".join(wrong)


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    anchors = {anchor for page in site.glob("reference/*.html") for anchor in read_page(page).anchors}
    missing = [
        name
        for name in histscan.__all__
        if not {f"histscan.{name}", f"histscan.errors.{name}"} & anchors and name != "__version__"
    ]
    assert not missing


def test_search_has_an_index_of_its_own(site: Path) -> None:
    assert "Twelve everyday jobs" in (site / "search" / "search_index.json").read_text()
