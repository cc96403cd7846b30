"""The API key of a client. It can be copied within a process, and is only pickled on request."""

from __future__ import annotations

from typing import Any

from histscan.sources.credentials import ApiKey, find_api_key

__all__ = ["Login"]


class Login:
    """A client's API key.

    If it was unpickled without its key, it looks one up as a new client would, when the key is first needed: an error
    while unpickling would kill a worker of ``multiprocessing.Pool``, and the pool would wait for it for ever.

    Args:
        base_url: The server's address.
        api_key: The key that the caller gave, if any.
        pickle_key: True to include the key in pickles.

    Attributes:
        lost_key: True if there was a key that was not pickled.

    Raises:
        HistoryRequestError: The key is invalid.
    """

    def __init__(self, base_url: str, api_key: str | ApiKey | None, *, pickle_key: bool = False) -> None:
        self._base_url = base_url
        self._pickle_key = pickle_key
        self._key = find_api_key(base_url, api_key := ApiKey.of_argument(api_key))
        self._is_looked_up = True
        self.lost_key = False

    def __repr__(self) -> str:
        if not self._is_looked_up:
            return "API key not looked up yet"
        return "no API key" if self._key is None else f"API key from {self._key.source}"

    def __getstate__(self) -> dict[str, Any]:
        if self._pickle_key:
            return self.__dict__.copy()
        lost_key = self.lost_key or self._key is not None
        return self.__dict__ | {"_key": None, "_is_looked_up": False, "lost_key": lost_key}

    def __copy__(self) -> Login:
        # Immutable, apart from the lookup of the key.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Login:
        return self

    @property
    def key(self) -> ApiKey | None:
        """The key; None if there is none.

        Raises:
            HistoryRequestError: The key that was looked up is invalid.
        """
        if not self._is_looked_up:
            self._key = find_api_key(self._base_url, None)
            self._is_looked_up = True
        return self._key

    @property
    def advice(self) -> str:
        """Advice for the error of a refused request, if the cause may be a key that was not pickled; else empty."""
        if not self.lost_key:
            return ""
        found = "this process has none" if self.key is None else f"the one from {self.key.source} was sent instead"
        return (
            f"the API key of this client was not pickled, and {found}: set WANDB_API_KEY in this process, or create "
            "the Api or Client with pickle_key=True"
        )
