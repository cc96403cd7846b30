"""Pages of a source that can only be read on, with an end that never hides an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from histscan.errors import HistoryError

__all__ = ["PageStream"]


class PageStream:
    """Reads pages one by one; whoever asks again after an error gets the error again, not the end.

    A generator that has raised is over: asked again it would say that there are no more pages, as if all had been read.

    Args:
        pages: The pages, from a generator.
    """

    def __init__(self, pages: Iterator[Any]) -> None:
        self._pages = pages
        self._failure: Exception | None = None

    def take(self) -> Any:
        """Reads on.

        Returns:
            The next page; None behind the last one.

        Raises:
            HistoryError: Reading was interrupted before, as by Ctrl-C.
            Exception: Whatever the source raises, each time from the first on.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return next(self._pages, None)
        except Warning:
            # Somebody has warnings raised; those of the sources come behind the last page.
            raise
        except Exception as error:
            self._failure = error
            raise
        except BaseException:
            self._failure = HistoryError(
                "reading was interrupted, and can't go on amid the source: start over with iter()"
            )
            raise

    def close(self) -> None:
        """Ends the stream, and closes the files that it has open."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            # A generator refuses while a thread is within it, though it may be one that a fork has left behind.
            with suppress(ValueError):
                close()
