"""Folders and environments in which wandb finds its settings, and what the real wandb reads from them.

`resolve_with_wandb` runs this very file as a script, with the running interpreter or that of another release.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

COMPANY_KEY, CLOUD_KEY, OTHER_KEY = "c0" * 20, "1d" * 20, "0e" * 20


def settings(**values: str) -> str:
    """The text of a settings file."""
    return "[default]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())


def login(netloc: str, key: str) -> str:
    """The text of a netrc entry as `wandb login` writes it."""
    return f"machine {netloc}\n  login user\n  password {key}\n"


@dataclass(frozen=True)
class Case:
    """A folder and an environment.

    Attributes:
        files: Texts by path; ``~`` is the home folder, and what is relative lies in the working folder.
        environment: Variables; ``{home}`` and ``{work}`` stand for the folders.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, folder: Path) -> tuple[Path, dict[str, str]]:
        """Writes the files; returns the working folder, and the variables with ``HOME`` among them."""
        home, work = folder / "home", folder / "work"
        for path in (home, work):
            path.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            path = home / name[2:] if name.startswith("~/") else work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        given = {name: value.format(home=home, work=work) for name, value in self.environment.items()}
        return work, {"HOME": str(home), **given}


_USER = "~/.config/wandb/settings"
_FOLDER = "wandb/settings"
_CLOUD = login("api.wandb.ai", CLOUD_KEY)

CASES = {
    "nothing": Case(),
    "user's settings": Case({_USER: settings(base_url="https://wandb.company.com", entity="us", project="vision")}),
    "folder's settings": Case({_FOLDER: settings(base_url="https://wandb.company.com/", entity="us")}),
    "folder before user": Case(
        {_FOLDER: settings(entity="here"), _USER: settings(base_url="https://a.example.com", entity="u", project="p")}
    ),
    "hidden folder": Case(
        {
            ".wandb/settings": settings(base_url="https://hidden.example.com"),
            _FOLDER: settings(base_url="https://b.example.com", entity="e"),
        }
    ),
    "hidden folder without settings": Case({".wandb/x": "", _FOLDER: settings(base_url="https://b.example.com")}),
    "environment before all": Case(
        {_FOLDER: settings(base_url="https://a.example.com", entity="f", project="f")},
        {"WANDB_BASE_URL": "https://env.example.com/", "WANDB_ENTITY": "env", "WANDB_PROJECT": "envp"},
    ),
    "empty variables": Case({_FOLDER: settings(entity="f", project="f")}, {"WANDB_ENTITY": "", "WANDB_PROJECT": ""}),
    "WANDB_CONFIG_DIR": Case(
        {"conf/settings": settings(entity="conf"), _USER: settings(entity="user")}, {"WANDB_CONFIG_DIR": "{work}/conf"}
    ),
    "WANDB_CONFIG_DIR at home": Case({"~/conf/settings": settings(entity="conf")}, {"WANDB_CONFIG_DIR": "~/conf"}),
    "WANDB_CONFIG_DIR empty": Case({_USER: settings(entity="user")}, {"WANDB_CONFIG_DIR": ""}),
    "WANDB_DIR": Case(
        {"elsewhere/wandb/settings": settings(base_url="https://dir.example.com"), _FOLDER: settings(entity="folder")},
        {"WANDB_DIR": "{work}/elsewhere"},
    ),
    "WANDB_DIR relative": Case({"elsewhere/.wandb/settings": settings(entity="d")}, {"WANDB_DIR": "elsewhere"}),
    "WANDB_DIR at home": Case({"~/d/wandb/settings": settings(entity="d")}, {"WANDB_DIR": "~/d"}),
    "WANDB_DIR empty": Case({_FOLDER: settings(entity="folder")}, {"WANDB_DIR": ""}),
    "other sections": Case({_FOLDER: "[DEFAULT]\nentity = all\n[other]\nproject = p\n[default]\nmode = online\n"}),
    "no section of its own": Case({_FOLDER: "[DEFAULT]\nentity = all\n"}),
    "spelling": Case({_FOLDER: "# said\n[default]\nEntity: Us  \nproject=a %% b\n"}),
    "settings is a folder": Case({"wandb/settings/x": ""}),
    "key of the environment": Case(
        {_FOLDER: settings(base_url="https://wandb.company.com"), "~/.netrc": _CLOUD}, {"WANDB_API_KEY": COMPANY_KEY}
    ),
    "key of the cloud": Case({"~/.netrc": _CLOUD + login("other.example.com", OTHER_KEY)}),
    "key of no use": Case({"~/.netrc": _CLOUD, _FOLDER: settings(base_url="https://wandb.company.com")}),
    "key of a port": Case(
        {"~/.netrc": login("localhost:8080", COMPANY_KEY) + login("localhost", OTHER_KEY) + _CLOUD},
        {"WANDB_BASE_URL": "http://localhost:8080"},
    ),
    "key of a path": Case(
        {"~/.netrc": login("example.com", COMPANY_KEY)}, {"WANDB_BASE_URL": "https://example.com/wandb"}
    ),
    "second netrc": Case({"~/_netrc": _CLOUD}),
    "both netrcs": Case({"~/.netrc": login("x.example.com", OTHER_KEY), "~/_netrc": _CLOUD}),
    "NETRC": Case({"~/.netrc": _CLOUD, "n": login("api.wandb.ai", OTHER_KEY)}, {"NETRC": "{work}/n"}),
    "NETRC at home": Case({"~/keys/netrc": _CLOUD}, {"NETRC": "~/keys/netrc"}),
    "NETRC missing": Case({"~/.netrc": _CLOUD}, {"NETRC": "{home}/none"}),
    "netrc out of order": Case({"~/.netrc": _CLOUD + "machine x login y oops\n"}),
}


def resolve_with_wandb(folder: Path, python: str = sys.executable) -> dict[str, dict[str, Any]]:
    """Resolves all cases with wandb, in a separate process.

    Args:
        folder: Where the cases' folders are made.
        python: The interpreter.

    Returns:
        By case: ``base_url``, ``entity``, ``project`` and ``api_key``.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    environment.pop("NETRC", None)
    finished = subprocess.run(
        [python, __file__, str(folder)],
        input=json.dumps({name: asdict(case) for name, case in CASES.items()}),
        env={**environment, "WANDB_ERROR_REPORTING": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    resolved: dict[str, dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return resolved


def _resolve() -> dict[str, str | None]:
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib import wbauth

    wandb_setup.teardown()
    try:
        from wandb.apis import InternalApi

        found = InternalApi().settings()
        key = InternalApi().api_key
    except ImportError:
        from wandb import env

        known = wandb_setup.singleton().settings
        found = {
            "base_url": env.get_base_url(known.base_url),
            "entity": env.get_entity(known.entity),
            "project": env.get_project(known.project),
        }
        # As wandb.Api does, without the prompt.
        login = wbauth.authenticate_session(host=found["base_url"], source="", prompt=False, update_session=False)
        key = getattr(login, "api_key", None)
    return {name: found[name] for name in ("base_url", "entity", "project")} | {"api_key": key}


def _main() -> None:
    cases = {name: Case(**case) for name, case in json.load(sys.stdin).items()}
    outside = dict(os.environ)
    resolved = {}
    for number, (name, case) in enumerate(cases.items()):
        work, given = case.prepare(Path(sys.argv[1]) / str(number))
        os.environ.clear()
        os.environ.update(outside | given)
        os.chdir(work)
        resolved[name] = _resolve()
    sys.stdout.write(json.dumps(resolved))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
