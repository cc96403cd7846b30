"""Pages of a source that can only be read forwards. After an error, the stream never appears to have ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from histscan.errors import HistoryError

__all__ = ["PageStream"]


class PageStream:
    """Reads pages one by one. After an error, each further read raises the error again.

    A generator that has raised is exhausted: ``next()`` would report the end, as if all pages had been read.

    Args:
        pages: The pages, from a generator.
    """

    def __init__(self, pages: Iterator[Any]) -> None:
        self._pages = pages
        self._failure: Exception | None = None

    def take(self) -> Any:
        """Reads the next page.

        Returns:
            The next page; None after the last one.

        Raises:
            HistoryError: An earlier read was interrupted, for example by Ctrl-C.
            Exception: The error of the source, in this call and in all further ones.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return next(self._pages, None)
        except Warning:
            # Not stored: warnings may be configured to raise, and sources warn after the last page.
            raise
        except Exception as error:
            self._failure = error
            raise
        except BaseException:
            self._failure = HistoryError(
                "reading was interrupted and can't be resumed in the middle of the source: start over with iter()"
            )
            raise

    def fail(self, error: Exception) -> None:
        """Ends the stream with an error, which the next read raises: the rows before it can be returned first.

        Args:
            error: The error.
        """
        self._failure = error
        self.close()

    def close(self) -> None:
        """Ends the stream, and closes the files that it has open."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            # A generator raises while a thread runs it. After a fork, that thread may not exist any more.
            with suppress(ValueError):
                close()
