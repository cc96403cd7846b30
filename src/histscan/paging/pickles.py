"""Checks whether a scan can be pickled."""

from __future__ import annotations

from typing import Any

from histscan.sources.origins import comes_from

__all__ = ["check_can_pickle"]


def check_can_pickle(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Checks the constructor arguments with which a scan is pickled.

    Args:
        arguments: The positional arguments.
        options: The keyword arguments.

    Raises:
        TypeError: One of them is a client, a service or a run of wandb or gql, which can't be pickled.
    """
    for value in (*arguments, *options.values()):
        for package in ("wandb", "gql"):
            if comes_from(package, value):
                raise TypeError(
                    f"this scan can't be pickled, because it uses {package}'s {type(value).__qualname__}, which can't "
                    "be pickled: create the scan in the process that reads it, or read the run with histscan.Api, "
                    "whose runs and scans can be pickled"
                )
