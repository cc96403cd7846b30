"""The HTTP protocol of a connection, with limits: uvicorn waits for slow clients for ever, and reads any headers."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from histscan.server.limits import ServerLimits

__all__ = ["limited_protocol"]


def limited_protocol(limits: ServerLimits) -> type[asyncio.Protocol]:
    """Makes the class of connections.

    Args:
        limits: The limits.

    Returns:
        A class for uvicorn's option ``http``.
    """

    class LimitedProtocol(HttpToolsProtocol):
        """A connection, which is closed when its client exceeds a limit.

        A client has `ServerLimits.wait` seconds to send the headers of a request, as many to send its body, and as many
        to read on in a response.
        """

        _deadline: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _reads_head = True
        _reads_body = False
        _size = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()
            if len(self.connections) > limits.connections:
                self._refuse(b"503 Service Unavailable", b"too many connections: try again later")

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self.resume_writing()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            if self._reads_head:
                self._size += len(data)
                self._check_head(self._size)
            elif self._reads_body and self.cycle is not None and self.cycle.response_complete:
                # The body of a request that is refused, such as one without a key, is discarded: a client that is still
                # sending would not see the response if the connection were closed.
                self._size += len(data)
                if self._size > limits.body:
                    self.transport.abort()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._reads_head = True
            self._wait()

        def on_headers_complete(self) -> None:
            self._check_head(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers))
            if self.transport.is_closing():
                return
            self._reads_head, self._reads_body, self._size = False, True, 0
            self._wait()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self.transport.is_closing():
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._stop_waiting()
            self._reads_body, self._size = False, 0
            if not self.transport.is_closing():
                super().on_message_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._unread is None:
                self._unread = self.loop.call_later(limits.wait, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._abort_later()

        def _wait(self) -> None:
            """Starts to wait for the client."""
            self._stop_waiting()
            self._deadline = self.loop.call_later(limits.wait, self._give_up)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if self._reads_head and (self.cycle is None or self.cycle.response_complete):
                self._refuse(b"408 Request Timeout", b"the request was not complete in time")
            else:
                # The application waits for the body, or responds to another request: for it, the client has left.
                self.transport.abort()

        def _check_head(self, size: int) -> None:
            if size > limits.headers:
                reason = b"the headers have more than %d bytes" % limits.headers
                self._refuse(b"431 Request Header Fields Too Large", reason)

        def _refuse(self, status: bytes, reason: bytes) -> None:
            """Responds without the application, and closes the connection."""
            if self.transport.is_closing():
                return
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, len(reason), reason)
            )
            self.transport.close()
            self._abort_later()

        def _abort_later(self) -> None:
            """Ends the connection even if its client never reads what it was sent last."""
            self.loop.call_later(limits.wait, self.transport.abort)

    return LimitedProtocol
