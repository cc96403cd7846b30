"""Every member of wandb's runs has its counterpart in the table for people who come from wandb."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

wandb_public = pytest.importorskip("wandb.apis.public")

PAGE = (ROOT / "docs" / "from-wandb.md").read_text()

INTERNAL = {"client", "dir", "server_provides_internal_id_field", "snake_to_camel"}
FURTHER = {"history_keys", "console_logs", "stop", "Runs.histories", "Runs.upgrade_to_full"}
"""Members that come from the server's answers, that are newer, or of collections."""


def members() -> set[str]:
    return {name for name in dir(wandb_public.Run) if not name.startswith("_")} - INTERNAL | FURTHER


def test_every_member_is_in_the_table() -> None:
    cells = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")]
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", " ".join(cells)))))
    assert "scan_history" in members()
    assert not {name for name in members() if name.rpartition(".")[2] not in words}
