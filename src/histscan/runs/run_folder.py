"""Reads the configuration and the summary that wandb writes to files beside a run's log.

The log of a killed run may have neither: wandb's Python backend wrote summary records only at the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from histscan.errors import HistoryError

__all__ = ["read_config_file", "read_summary_file"]

_CONFIG_FILE = Path("files", "config.yaml")
_SUMMARY_FILE = Path("files", "wandb-summary.json")
# wandb's own entries of config.yaml.
_OWN_ENTRIES = ("wandb_version", "_wandb")


def read_config_file(log: Path) -> tuple[dict[str, Any], Path | None]:
    """Reads the configuration from ``files/config.yaml`` beside a log.

    Args:
        log: The log.

    Returns:
        The configuration and the file; an empty configuration and None if there is no such file.

    Raises:
        HistoryError: The file can't be read, or has unexpected contents.
    """
    path = log.parent / _CONFIG_FILE
    text = _read_text(path)
    if text is None:
        return {}, None
    import yaml

    try:
        # wandb writes plain values; the safe loader creates no other Python objects.
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise HistoryError(f"the run's config file is not valid YAML: {_first_line(error)}", run=str(path)) from None
    if entries is None:
        return {}, path
    if not isinstance(entries, dict):
        raise HistoryError("the run's config file does not contain a mapping", run=str(path))
    return {
        str(key): entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in entries.items()
        if key not in _OWN_ENTRIES
    }, path


def read_summary_file(log: Path) -> tuple[dict[str, Any], Path | None]:
    """Reads the summary from ``files/wandb-summary.json`` beside a log.

    Args:
        log: The log.

    Returns:
        The summary and the file; an empty summary and None if there is no such file.

    Raises:
        HistoryError: The file can't be read, or has unexpected contents.
    """
    path = log.parent / _SUMMARY_FILE
    text = _read_text(path)
    if text is None or not text.strip():
        return {}, None
    try:
        summary = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"the run's summary file is not valid JSON: {_first_line(error)}", run=str(path)) from None
    if not isinstance(summary, dict):
        raise HistoryError("the run's summary file does not contain a JSON object", run=str(path))
    return summary, path


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"the file beside the run's log can't be read: {error}", run=str(path)) from None


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
