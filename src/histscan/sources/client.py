"""A GraphQL client for W&B servers: gql for documents, requests for HTTP, and answers as raw bytes."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from math import isfinite
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from histscan.errors import (
    GraphQLResponseError,
    HistoryError,
    HistoryRequestError,
    ResponseShapeError,
    RunNotFoundError,
)
from histscan.sources.answers import AnswerReader, describe_answer, is_json, parse_json
from histscan.sources.connection_errors import describe_failure, may_pass
from histscan.sources.credentials import ApiKey, find_base_url
from histscan.sources.login import Login
from histscan.sources.retry import RetryPolicy, pause, wait_asked_for
from histscan.sources.throttle import Throttle

if TYPE_CHECKING:
    import requests
    from gql import GraphQLRequest
    from graphql import DocumentNode
    from typing_extensions import Self

    from histscan.sources.transport import HistoryTransport

__all__ = ["Client"]


class _Opened(NamedTuple):
    """What a client has in one process."""

    transport: HistoryTransport
    throttle: Throttle


class Client:
    """Asks a W&B server's GraphQL API; needs no wandb.

    The key is sent to the server's own address and nowhere else: redirects are not followed, TLS certificates are
    verified, and neither errors, logs nor ``repr`` show it. A request that meets a connection failure, a full rate
    limit (429), a failing server (5xx) or a broken answer is sent again a few times, after the time the server asks
    for; so use the client for queries, which may be repeated. Several threads may share a client; a full rate limit
    then makes all of them wait, and fewer of their requests are sent at once until the server keeps up again. A forked
    process may go on with its parent's client: it connects anew. A client may be copied and pickled, but its key is
    not pickled unless `pickle_key` is true: the client looks it up again where it is unpickled, as if it were created
    there.

    Args:
        base_url: The server's address. Default: the one that wandb would use: ``WANDB_BASE_URL``, or else what
            ``./wandb/settings`` or ``~/.config/wandb/settings`` says, or else ``https://api.wandb.ai``.
        api_key: The API key. Default: ``WANDB_API_KEY``, or else the host's password in netrc; without any, requests
            are sent anonymously.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times a failed request is sent again.
        allow_http: Whether ``base_url`` may be a plain http address of another machine, where the key can be read on
            the way. This machine's own addresses are always allowed.
        pickle_key: Whether pickles of the client contain the API key, in plain text. Keep such pickles as secret as the
            key.

    Raises:
        HistoryRequestError: The address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | ApiKey | None = None,
        timeout: float = 30.0,
        *,
        retries: int = 4,
        allow_http: bool = False,
        pickle_key: bool = False,
    ) -> None:
        self.base_url = find_base_url(base_url, allow_http=allow_http)
        self.timeout = timeout
        self._login = Login(self.base_url, api_key, pickle_key=pickle_key)
        self._retry = RetryPolicy(retries=retries)
        # By process: a forked one must not use its parent's. Threads that open at once agree without a lock.
        self._opened: dict[int, _Opened] = {}

    def __repr__(self) -> str:
        return f"<histscan.Client {self.base_url}, {self._login!r}>"

    def __getstate__(self) -> dict[str, Any]:
        # A copy connects for itself, wherever it is.
        return self.__dict__ | {"_opened": {}}

    @property
    def _key(self) -> ApiKey | None:
        return self._login.key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the open connections. A later request opens new ones."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            opened.transport.close()  # type: ignore[no-untyped-call]

    def execute(
        self, document: str | DocumentNode | GraphQLRequest, variable_values: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Runs a query and returns the ``data`` of its answer.

        Args:
            document: The query, as text or as gql's document.
            variable_values: The query's variables.

        Returns:
            The ``data`` member, parsed.

        Raises:
            HistoryRequestError: No answer came, or one with an HTTP error.
            GraphQLResponseError: The answer reports errors.
            ResponseShapeError: The answer is not that of a GraphQL server.
        """
        reader = AnswerReader(parse_json)
        body = self.execute_raw(document, variable_values, is_whole=reader.is_whole)
        answer = reader.result(body)
        if not isinstance(answer, dict):
            raise ResponseShapeError(f"the server's answer is not an object but {type(answer).__name__}")
        if answer.get("errors"):
            said = describe_answer(self.conceal_key(body.decode("utf-8", "replace")))
            raise GraphQLResponseError(f"the server answered with errors: {said}")
        data = answer.get("data")
        if not isinstance(data, dict):
            raise ResponseShapeError("the server's answer has no object `data`")
        return data

    def execute_raw(
        self,
        document: str | DocumentNode | GraphQLRequest,
        variable_values: dict[str, Any] | None = None,
        *,
        is_whole: Callable[[bytes], bool] = is_json,
    ) -> bytes:
        """Runs a query and returns the answer's body as it came, decompressed and not parsed.

        Args:
            document: The query, as text or as gql's document.
            variable_values: The query's variables.
            is_whole: Returns False for a body that is broken, so that it is requested again. Default: one that is not
                JSON: it is empty, was cut short, or is a page for browsers.

        Returns:
            The body: ``{"data": …}`` in UTF-8, possibly with ``errors``. One that is broken each time comes as it is.

        Raises:
            HistoryRequestError: No answer came, or one with an HTTP error.
        """
        import requests
        from gql import GraphQLRequest

        from histscan.sources.printed_request import PrintedRequest

        if isinstance(document, PrintedRequest):
            query: GraphQLRequest = document.with_variables(variable_values)
        else:
            query = GraphQLRequest(document, variable_values=variable_values)
        transport, throttle = self._open()
        attempt = 0
        waited_until = 0.0
        while True:
            ticket = throttle.enter(waited_until)
            status = None
            try:
                response = transport.post(query)
                status = response.status_code
            except (requests.RequestException, OSError, ValueError) as error:
                # The last two come of certificates and proxies that requests can't use.
                wait = self._retry.wait_after_failure(attempt) if may_pass(error) else None
                if wait is None:
                    failure = describe_failure(error, self.timeout)
                    raise HistoryRequestError(f"{self.base_url} {failure}{_tries(attempt)}") from error
            else:
                if status == requests.codes.ok:
                    wait = None if is_whole(response.content) else self._retry.wait_after_failure(attempt)
                    if wait is None:
                        return response.content
                else:
                    wait = self._retry.wait_after_status(attempt, status, response.headers)
                    if wait is None:
                        raise self._status_error(response, attempt)
                    if wait_asked_for(response.headers) is not None:
                        waited_until = throttle.hold(wait)
            finally:
                throttle.leave(ticket, status)
            pause(wait)
            attempt += 1

    def conceal_key(self, text: str) -> str:
        """Returns a text without the API key, for a server may repeat what it was sent.

        Args:
            text: Any text.

        Returns:
            The text with the key, plain or encoded as it is sent, replaced.
        """
        if self._key is None:
            return text
        encoded = b64encode(f"api:{self._key.text}".encode()).decode()
        return text.replace(self._key.text, "[API key]").replace(encoded, "[API key]")

    def add_advice(self, error: HistoryError) -> None:
        """Completes the error about an answer that a missing API key may be the reason of.

        Args:
            error: The error; of another kind, it is left as it is.
        """
        advice = self._login.advice
        if advice and isinstance(error, RunNotFoundError | GraphQLResponseError) and advice not in error.reason:
            error.reason = f"{error.reason}; {advice}"
            error.args = (error.reason,)

    def _open(self) -> _Opened:
        opened = self._opened.get(os.getpid())
        if opened is None:
            from histscan.sources.transport import HistoryTransport

            key = None if self._key is None else self._key.text
            transport = HistoryTransport(f"{self.base_url}/graphql", key, self.timeout)
            transport.connect()
            opened = self._opened.setdefault(os.getpid(), _Opened(transport, Throttle()))
        return opened

    def _status_error(self, response: requests.Response, attempt: int) -> HistoryRequestError:
        status = response.status_code
        if response.is_redirect or response.is_permanent_redirect:
            target = urlsplit(response.headers.get("Location", ""))
            address = f"{target.scheme}://{target.hostname}" if target.hostname else "another path"
            return HistoryRequestError(
                f"{self.base_url} redirects to {address} (HTTP {status}), which was not followed because the API key "
                "is meant for the first address: if the second is right, pass it as `base_url`"
            )
        is_page = "html" in response.headers.get("Content-Type", "")
        text = response.reason or "" if is_page else response.content.decode("utf-8", "replace")
        said = describe_answer(self.conceal_key(text))
        # So do servers refuse a query that they cannot run, one for an unknown field for instance.
        error_class = GraphQLResponseError if status == 400 and _has_errors(response) else HistoryRequestError
        return error_class(
            f"{self.base_url} answered HTTP {status}{f' ({said})' if said else ''}: "
            f"{self._advice(status, response)}{_tries(attempt)}"
        )

    def _advice(self, status: int, response: requests.Response) -> str:
        if status in (401, 403) and self._login.advice:
            return self._login.advice
        if status == 401 and self._key is None:
            return "pass `api_key`, set WANDB_API_KEY, or add the host to your netrc file"
        if status == 401:
            return f"check the API key, which came from {self._key.source}" if self._key else ""
        if status == 403:
            return "this API key may not read that"
        if status == 404:
            return "check the base URL, and that the run exists"
        if status == 429:
            asked = wait_asked_for(response.headers)
            return f"its rate limit is used up, wait {f'{asked:.0f} s' if asked and isfinite(asked) else 'a while'}"
        if status >= 500:
            return "the server failed, try again later"
        return "the server does not take this request"


def _has_errors(response: requests.Response) -> bool:
    """Returns True if an answer is that of a GraphQL server that reports errors."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and bool(answer.get("errors"))


def _tries(attempt: int) -> str:
    return f" (tried {attempt + 1} times)" if attempt else ""
