"""The HTML page lists the runs, and shows names from logs as plain text only."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from histscan.server import root_page
from histscan.server.settings import ANY_KEY
from tests.support.asgi_client import AsgiClient, Reply, client_of
from tests.support.paths import DATA

LOG = DATA / "default-encoding.wandb"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&amp;",
    "a\x1b[31mb\nc",
    "\u202egnp.exe",
    "é 日本",
]

# A log without records is still being written; its run is named after the file.
pytestmark = pytest.mark.filterwarnings("ignore::histscan.LogTruncatedWarning")


class Page(HTMLParser):
    """Parses a page as a browser does.

    Attributes:
        tags: The names of all elements.
        cells: The text of each cell of the table.
        code: The text of each block of code.
        attributes: The names of all attributes.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.code: list[str] = []
        self._into: list[str] | None = None
        self.feed(reply.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._into = {"td": self.cells, "pre": self.code, "bdi": self._into}.get(tag)
        if self._into is not None and tag != "bdi":
            self._into.append("")

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "pre"):
            self._into = None


def page_of(client: AsgiClient) -> Page:
    reply = client.request("GET", "/")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return Page(reply)


def test_runs_and_how_to_read_them(tmp_path: Path) -> None:
    page = page_of(client_of(DATA, folder=tmp_path))
    started = "2026-11-23 11:07 UTC"
    first = ["histscan/fixtures/default-encoding", "default encoding", started]
    assert page.cells == [*first, "histscan/fixtures/typed-encoding", "typed encoding", started]
    shell, script = page.code
    assert shell == f"export WANDB_BASE_URL=http://127.0.0.1:8090\nexport WANDB_API_KEY={ANY_KEY}"
    assert "wandb.Api().run('histscan/fixtures/default-encoding')" in script
    compile(script, "script", "exec")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(tmp_path: Path, name: str) -> None:
    # A log without the run's names yet: they come from the file and the settings.
    path = tmp_path / "run-abc.wandb"
    path.write_bytes(LOG.read_bytes()[:7])
    client = client_of(path, folder=tmp_path, entity=name, project=name)
    page, harmless = page_of(client), page_of(client_of(path, folder=tmp_path, entity="e", project="p"))
    assert page.tags == harmless.tags
    assert page.attributes == harmless.attributes
    assert "script" not in page.tags
    shown = name.replace("\x1b", r"\x1b").replace("\n", r"\n").replace("\u202e", r"\u202e")
    assert page.cells[0] == f"{shown}/{shown}/abc"
    namespace: dict[str, object] = {}
    call = re.search(r"wandb\.Api\(\)\.run\((.*)\)", page.code[1])
    assert call is not None
    exec(f"path = {call[1]}", namespace)
    assert namespace["path"] == f"{name}/{name}/abc"


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    path = tmp_path / "run-\udcff.wandb"
    path.write_bytes(LOG.read_bytes()[:7])
    assert page_of(client_of(path, folder=tmp_path)).cells[0] == r"local/uncategorized/\udcff"


def test_content_security_policy_allows_only_the_style(tmp_path: Path) -> None:
    reply = client_of(DATA, folder=tmp_path).request("GET", "/")
    (style,) = re.findall("<style>(.*?)</style>", reply.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_key(tmp_path: Path) -> None:
    key = "sesame" * 7
    client = client_of(DATA, folder=tmp_path, api_key=key)
    refused = client.request("GET", "/")
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert b"fixtures" not in refused.body
    # A browser sends this after its user and password dialog.
    basic = base64.b64encode(f"api:{key}".encode()).decode()
    reply = client.request("GET", "/", headers={"authorization": f"Basic {basic}"})
    assert reply.status == 200
    assert b"sesame" not in reply.body


def test_no_runs_yet(tmp_path: Path) -> None:
    page = page_of(client_of(tmp_path, folder=tmp_path))
    assert page.cells == []
    compile(page.code[1], "script", "exec")


def test_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_page, "MOST_RUNS", 1)
    reply = client_of(DATA, folder=tmp_path).request("GET", "/")
    assert b"2 runs" in reply.body
    assert b"Only the first 1 are listed" in reply.body
    assert len(Page(reply).cells) == 3


def test_a_run_that_became_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "run-x.wandb"
    shutil.copy(LOG, path)
    client = client_of(tmp_path, folder=tmp_path)
    path.unlink()
    assert page_of(client).cells == ["histscan/fixtures/default-encoding", "can't be read", ""]
