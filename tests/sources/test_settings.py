"""The server, the default names and the key are those that wandb uses in the same folder and environment."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from wandb.sdk.lib.wbauth import write_netrc_auth

from histscan.errors import CredentialsWarning, HistoryRequestError
from histscan.sources.client import Client
from histscan.sources.credentials import find_api_key, find_base_url
from histscan.sources.exported_files import cache_folder
from histscan.sources.settings import find_setting
from tests.support.settings_cases import (
    CASES,
    CLOUD_KEY,
    COMPANY_KEY,
    OTHER_KEY,
    Case,
    login,
    resolve_with_wandb,
    settings,
)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    return resolve_with_wandb(tmp_path_factory.mktemp("cases"))


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts the test into a case's folder and environment."""

    def enter(case: Case) -> Path:
        work, environment = case.prepare(tmp_path)
        for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(work)
        return work

    return enter


def key_for(base_url: str) -> str | None:
    found = find_api_key(base_url, None)
    return None if found is None else found.text


@pytest.mark.filterwarnings("ignore::histscan.errors.CredentialsWarning")
@pytest.mark.parametrize("name", CASES)
def test_resolves_as_wandb_does(resolved: Mapping[str, Mapping[str, Any]], enter: Any, name: str) -> None:
    enter(CASES[name])
    base_url = find_base_url(None, allow_http=False)
    found = [base_url, find_setting("entity"), find_setting("project"), key_for(base_url)]
    theirs = resolved[name]
    assert found == [
        theirs["base_url"].rstrip("/"),
        theirs["entity"] or "",
        theirs["project"] or "",
        theirs["api_key"],
    ]


def test_the_argument_goes_before_all(enter: Any) -> None:
    enter(Case({"wandb/settings": settings(base_url="https://a.example.com")}, {"WANDB_BASE_URL": "https://b"}))
    assert find_base_url("https://c.example.com", allow_http=False) == "https://c.example.com"


def test_an_empty_address_in_the_environment_is_none(enter: Any) -> None:
    enter(Case({"wandb/settings": settings(base_url="https://a.example.com")}, {"WANDB_BASE_URL": " "}))
    assert find_base_url(None, allow_http=False) == "https://a.example.com"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("base_url = https://a.example.com\n", "line 1"),
        ("[default]\nbase_url = https://a\n\nsecret\n", "line 4"),
        ("[default]\nentity = a\nentity = secret\n", "line 3"),
        ("[default]\nentity = 5%secret\n", "`entity`"),
    ],
)
def test_settings_that_cannot_be_read_are_not_passed_over(enter: Any, text: str, reason: str) -> None:
    """They may name another server than the one to which the key would be sent."""
    enter(Case({"wandb/settings": text}, {"WANDB_API_KEY": COMPANY_KEY}))
    with pytest.raises(HistoryRequestError, match=rf"wandb/settings, .*{reason}.*WANDB_BASE_URL") as failure:
        Client()
    assert "secret" not in str(failure.value)
    assert Client("https://b.example.com").base_url == "https://b.example.com"


def test_settings_that_are_no_text(enter: Any) -> None:
    work = enter(Case({"wandb/settings": ""}))
    (work / "wandb" / "settings").write_bytes(b"[default]\nentity = \xff\n")
    with pytest.raises(HistoryRequestError, match="not UTF-8"):
        Client()
    with pytest.warns(CredentialsWarning, match="not UTF-8"):
        assert "no API key" in repr(Client("https://b.example.com"))


def test_a_folder_that_is_gone(enter: Any) -> None:
    work = enter(Case({"~/.config/wandb/settings": settings(entity="user")}))
    work.rmdir()
    assert find_setting("entity") == "user"


def test_a_key_in_a_settings_file_goes_to_the_server_that_the_file_names(enter: Any) -> None:
    enter(
        Case(
            {
                "wandb/settings": settings(base_url="https://elsewhere.example.com"),
                "~/.config/wandb/settings": settings(base_url="https://wandb.company.com/", api_key=COMPANY_KEY),
            }
        )
    )
    assert key_for("https://wandb.company.com") == COMPANY_KEY
    assert key_for("https://elsewhere.example.com") is None
    assert key_for("https://api.wandb.ai") is None
    assert f"API key from the settings file {Path.home()}" in repr(Client("https://wandb.company.com"))


# W&B's cloud has two names


@pytest.mark.parametrize("entry", ["api.wandb.ai", "api.forge.coreweave.com"])
@pytest.mark.parametrize("server", ["https://api.wandb.ai", "https://api.forge.coreweave.com"])
def test_either_name_of_the_cloud_has_the_key(enter: Any, entry: str, server: str) -> None:
    enter(Case({"~/.netrc": login(entry, CLOUD_KEY) + login("api.example.com", OTHER_KEY)}))
    assert key_for(server) == CLOUD_KEY


def test_the_key_under_the_name_itself_goes_first(enter: Any) -> None:
    enter(Case({"~/.netrc": login("api.wandb.ai", CLOUD_KEY) + login("api.forge.coreweave.com", OTHER_KEY)}))
    assert key_for("https://api.wandb.ai") == CLOUD_KEY
    assert key_for("https://api.forge.coreweave.com") == OTHER_KEY
    assert key_for("https://api.qa.wandb.ai") is None


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("https://wandb.ai", "https://api.wandb.ai"),
        ("https://wandb.ai/team/project", "https://api.wandb.ai"),
        ("http://app.wandb.ai/", "https://api.wandb.ai"),
        ("https://www.wandb.ai", "https://api.wandb.ai"),
        ("https://forge.coreweave.com", "https://api.forge.coreweave.com"),
        ("https://forge.coreweave.com/wandb/", "https://api.forge.coreweave.com"),
        ("https://qa.forge.coreweave.com/wandb", "https://api.qa.forge.coreweave.com"),
        ("http://api.wandb.ai", "https://api.wandb.ai"),
    ],
)
def test_refuses_the_address_of_pages_and_names_the_right_one(address: str, right: str) -> None:
    with pytest.raises(HistoryRequestError, match=f"{right}(,|$)"):
        find_base_url(address, allow_http=True)


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://forge.coreweave.com/api/wandb/", "https://api.forge.coreweave.com"),
        ("https://api.wandb.ai/", "https://api.wandb.ai"),
        ("https://api.company.wandb.ai", "https://api.company.wandb.ai"),
        ("https://company.wandb.io", "https://company.wandb.io"),
        ("https://wandb.ai.example.com", "https://wandb.ai.example.com"),
        ("https://notwandb.ai", "https://notwandb.ai"),
    ],
)
def test_takes_the_addresses_of_apis(address: str, meant: str) -> None:
    assert find_base_url(address, allow_http=False) == meant


def test_says_where_a_wrong_address_stands(enter: Any) -> None:
    enter(Case({"wandb/settings": settings(base_url="wandb.company.com")}))
    with pytest.raises(HistoryRequestError, match=r"base URL in .*work/wandb/settings must be like"):
        Client()
    enter(Case({}, {"WANDB_BASE_URL": "http://wandb.company.com"}))
    with pytest.raises(HistoryRequestError, match="in WANDB_BASE_URL would send the API key unencrypted"):
        Client()


# netrc


@pytest.mark.parametrize(
    "host",
    [
        *("https://api.wandb.ai", "https://wandb.company.com", "http://localhost:8080", "http://127.0.0.1:8080"),
        *("https://wandb.company.com:8443/path", "http://[::1]:8080", "https://Wandb.Company.com"),
    ],
)
def test_reads_what_wandb_login_writes(enter: Any, host: str) -> None:
    """wandb quotes shell characters, and Python's netrc keeps the quotes as part of the name."""
    enter(Case({"~/.netrc": login("x.example.com", OTHER_KEY)}))
    write_netrc_auth(host=host, api_key=COMPANY_KEY)
    assert key_for(host) == COMPANY_KEY
    assert key_for("https://another.example.com:8080") is None


def test_names_of_hosts_have_no_case(enter: Any) -> None:
    enter(Case({"~/.netrc": login("localhost:80", CLOUD_KEY)}))
    assert key_for("http://LOCALHOST:80") == CLOUD_KEY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine a login b password c\nmachine x login y hunter2\n\n", "in line 2: no API key"),
        ("machine a login b password c\n\nmachine x hunter2 y\n", "in line 3: no API key"),
        ("hunter2\n", "in line 1: no API key"),
        ("hunter2", "in line 1: no API key"),
        # Python 3.10 reports it as a syntax error.
        ("machine api.wandb.ai\n  login user\n", "api.wandb.ai, but no password|in line [123]: no API key"),
    ],
)
def test_a_netrc_out_of_order_is_a_warning_with_its_line(enter: Any, text: str, message: str) -> None:
    enter(Case({"~/.netrc": text}))
    with pytest.warns(CredentialsWarning, match=message) as caught:
        assert "no API key" in repr(Client())
    assert "hunter2" not in str(caught[0].message)


def test_a_netrc_that_is_none(enter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    work = enter(Case({"n/x": "", "binary": ""}, {"NETRC": "n"}))
    with pytest.warns(CredentialsWarning, match=r"netrc file n can't be read \(Is a directory"):
        Client()
    (work / "binary").write_bytes(b"machine api.wandb.ai login user password \xff\xfe\n")
    monkeypatch.setenv("NETRC", "binary")
    with pytest.warns(CredentialsWarning, match="not text"):
        Client()


@pytest.mark.filterwarnings("error")
def test_a_netrc_is_not_read_where_there_is_another_key(enter: Any) -> None:
    enter(Case({"~/.netrc": "out of order\n"}, {"WANDB_API_KEY": COMPANY_KEY}))
    Client()
    Client("https://a.example.com", CLOUD_KEY)


# No home


@pytest.fixture
def _no_home(enter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    enter(Case())
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("_no_home")
@pytest.mark.parametrize("variable", [None, "NETRC", "WANDB_CONFIG_DIR", "WANDB_DIR"])
def test_without_a_home_folder(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, "~/x")
    client = Client()
    assert repr(client) == "<histscan.Client https://api.wandb.ai, no API key>"


@pytest.mark.usefixtures("_no_home")
def test_without_a_home_folder_files_are_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HISTSCAN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = cache_folder()
    assert folder == cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    script = "from histscan.sources.exported_files import cache_folder; print(cache_folder())"
    finished = subprocess.run(
        [sys.executable, "-c", "import pwd; pwd.getpwuid = {}.__getitem__; " + script],
        env={name: value for name, value in os.environ.items() if name != "HOME"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(finished.stdout.strip()).name.startswith("histscan-")
    assert not Path(finished.stdout.strip()).exists()
