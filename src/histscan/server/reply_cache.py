"""Responses to repeated requests: the bytes that were sent before, as long as what they were made of is unchanged."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from histscan.server.catalogue import Catalogue
from histscan.server.served_run import ServedRun

__all__ = ["Reply", "ReplyCache", "Sources"]

LARGEST_BODY = 32 << 10
LARGEST_REPLY = 1 << 20
MOST_BYTES = 64 << 20
MOST_RUNS = 200
"""The most runs that a cached response is made of: the files of each are looked at before it is sent again."""


@dataclass
class Sources:
    """What a response is made of.

    Attributes:
        versions: The version of each run before it was read; see `ServedRun.final_version`.
        generation: The state of the catalogue before runs were listed; None if none were.
        is_repeatable: False if it is made of anything else that may change, such as the time.
    """

    versions: dict[ServedRun, Hashable] = field(default_factory=dict)
    generation: int | None = None
    is_repeatable: bool = True

    def add(self, runs: Sequence[ServedRun]) -> None:
        """Adds runs, which must not have been read.

        Args:
            runs: The runs.
        """
        if len(runs) > MOST_RUNS:
            self.is_repeatable = False
        else:
            self.versions = {run: run.final_version() for run in runs if run not in self.versions} | self.versions


@dataclass(frozen=True)
class Reply:
    """A response.

    Attributes:
        name: The operation's name.
        body: The body.
        versions: The version of each run that it is made of.
        generation: As for `Sources`.
    """

    name: str
    body: bytes
    versions: tuple[tuple[ServedRun, Hashable], ...]
    generation: int | None


class ReplyCache:
    """An LRU cache of responses by the bodies of their requests, bounded by memory. Thread-safe.

    Args:
        catalogue: The runs.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._replies: OrderedDict[bytes, Reply] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, request: bytes) -> Reply | None:
        """Finds the response to a request. Takes little time.

        Args:
            request: The body of the request.

        Returns:
            The response; None if there is none, or what it is made of has changed.
        """
        reply = self._replies.get(request)
        if reply is None or not self._is_valid(reply):
            return None
        with self._lock:
            if request in self._replies:
                self._replies.move_to_end(request)
        return reply

    def keep(self, request: bytes, name: str, parts: Sequence[bytes | memoryview], sources: Sources) -> None:
        """Keeps a response, if what it is made of can be checked later.

        Args:
            request: The body of the request.
            name: The operation's name.
            parts: The body of the response, in parts; it must be without errors.
            sources: What it is made of.
        """
        versions = sources.versions
        if len(request) > LARGEST_BODY or sum(map(len, parts)) > LARGEST_REPLY or not sources.is_repeatable:
            return
        if not versions or None in versions.values() or len(versions) > MOST_RUNS:
            return
        body = b"".join(parts)
        reply = Reply(name, body, tuple(versions.items()), sources.generation)
        with self._lock:
            replaced = self._replies.pop(request, None)
            self._size += len(request) + len(body)
            self._size -= 0 if replaced is None else len(request) + len(replaced.body)
            self._replies[request] = reply
            while self._size > MOST_BYTES:
                oldest, dropped = self._replies.popitem(last=False)
                self._size -= len(oldest) + len(dropped.body)

    def _is_valid(self, reply: Reply) -> bool:
        return (reply.generation is None or self._catalogue.is_generation(reply.generation)) and all(
            self._catalogue.serves(run) and run.final_version() == version for run, version in reply.versions
        )
