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
from histscan.sources.connection_errors import describe_failure, forget_locals, is_transient
from histscan.sources.credentials import ApiKey, find_base_url
from histscan.sources.limits import MAX_ANSWER, MAX_FILE
from histscan.sources.login import Login
from histscan.sources.request_log import log_retry
from histscan.sources.retry import RetryPolicy, pause, requested_wait
from histscan.sources.throttle import Throttle

if TYPE_CHECKING:
    import requests
    from gql import GraphQLRequest
    from graphql import DocumentNode
    from typing_extensions import Self

    from histscan.sources.transport import Transport

__all__ = ["Client"]


class _Opened(NamedTuple):
    """The connections and the throttle of a client in one process."""

    transport: Transport
    throttle: Throttle


class Client:
    """Sends queries to a W&B server's GraphQL API. Does not need wandb.

    The key is sent only to the server's own address: redirects are not followed, TLS certificates are verified, and
    errors, logs and ``repr`` never show the key. After a connection failure, an exceeded rate limit (429), a server
    error (5xx) or an incomplete answer, the client retries a few times, after the delay that the server requests; so
    use it only for queries, which may be repeated. The client is thread-safe. When a rate limit is exceeded, all
    threads wait, and fewer requests are sent at once until the server keeps up again. A forked process may use its
    parent's client: it opens its own connections. A client can be copied and pickled, but its key is not pickled
    unless `pickle_key` is true: the unpickled client looks it up again, as a new client would.

    Args:
        base_url: The server's address. Default: the one that wandb would use: ``WANDB_BASE_URL``, else that of
            ``./wandb/settings`` or ``~/.config/wandb/settings``, else ``https://api.wandb.ai``.
        api_key: The API key. Default: ``WANDB_API_KEY``, else the host's password in netrc; without a key, requests
            are sent anonymously.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times to retry a failed request.
        allow_http: Allow a ``base_url`` with plain http on another machine, where the key can be read on the network.
            Addresses of this machine are always allowed.
        pickle_key: Whether pickles of the client contain the API key, in plain text. Keep such pickles as secret as the
            key.
        max_answer: The most bytes of an answer, decompressed. Default: ``HISTSCAN_MAX_ANSWER`` (a size such as
            ``2G``), else 512 MiB.
        max_file: The most bytes of a file of a run that is downloaded. Default: ``HISTSCAN_MAX_FILE``, else 16 GiB.

    Raises:
        HistoryError: A limit in the environment is not a size.
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
        max_answer: int | None = None,
        max_file: int | None = None,
    ) -> None:
        api_key = ApiKey.of_argument(api_key)
        self.base_url = find_base_url(base_url, allow_http=allow_http)
        self.timeout = timeout
        self.max_answer = MAX_ANSWER.find(max_answer)
        self.max_file = MAX_FILE.find(max_file)
        self._login = Login(self.base_url, api_key, pickle_key=pickle_key)
        self._retry = RetryPolicy(retries=retries)
        # By process: a forked process must not use its parent's. setdefault() needs no lock.
        self._opened: dict[int, _Opened] = {}

    def __repr__(self) -> str:
        return f"<histscan.Client {self.base_url}, {self._login!r}>"

    def __getstate__(self) -> dict[str, Any]:
        # A copy opens its own connections.
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
            opened.transport.close()

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
            HistoryRequestError: There is no answer, or its HTTP status is an error.
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
        """Runs a query and returns the raw body of the answer, decompressed and not parsed.

        Args:
            document: The query, as text or as gql's document.
            variable_values: The query's variables.
            is_whole: Returns False for an incomplete body, which is then requested again. Default: False for a body
                that is not JSON, because it is empty, was cut short, or is an HTML page.

        Returns:
            The body: ``{"data": …}`` in UTF-8, possibly with ``errors``. If all retries are incomplete, the last body.

        Raises:
            HistoryRequestError: There is no answer, or its HTTP status is an error.
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
                # requests raises the last two for certificates and proxies that it can't use.
                wait = self._retry.wait_after_failure(attempt) if is_transient(error) else None
                failure = describe_failure(error, self.timeout)
                forget_locals(error)
                if wait is None:
                    raise HistoryRequestError(f"{self.base_url} {failure}{_tries(attempt)}") from error
            else:
                if status == requests.codes.ok:
                    wait = None if is_whole(response.content) else self._retry.wait_after_failure(attempt)
                    if wait is None:
                        return response.content
                    failure = "sent an incomplete answer"
                else:
                    wait = self._retry.wait_after_status(attempt, status, response.headers)
                    if wait is None:
                        raise self._status_error(response, attempt)
                    failure = f"answered HTTP {status}"
                    if requested_wait(response.headers) is not None:
                        waited_until = throttle.back_off(wait)
            finally:
                throttle.leave(ticket, status)
            attempt += 1
            log_retry(self.base_url, self.conceal_key(failure), attempt, wait)
            pause(wait)

    def conceal_key(self, text: str) -> str:
        """Removes the API key from a text, because a server may repeat what it was sent.

        Args:
            text: Any text.

        Returns:
            The text with the key replaced, both as it is and base64-encoded as it is sent.
        """
        if self._key is None:
            return text
        encoded = b64encode(f"api:{self._key.text}".encode()).decode()
        return text.replace(self._key.text, "[API key]").replace(encoded, "[API key]")

    def add_advice(self, error: HistoryError) -> None:
        """Adds advice about the API key to an error that a key lost in pickling may have caused.

        Args:
            error: The error. Other kinds of errors are left unchanged.
        """
        advice = self._login.advice
        if advice and isinstance(error, RunNotFoundError | GraphQLResponseError) and advice not in error.reason:
            error.reason = f"{error.reason}; {advice}"
            error.args = (error.reason,)

    def _open(self) -> _Opened:
        opened = self._opened.get(os.getpid())
        if opened is None:
            from histscan.sources.transport import Transport

            transport = Transport(f"{self.base_url}/graphql", self._key, self.timeout, self.max_answer)
            opened = self._opened.setdefault(os.getpid(), _Opened(transport, Throttle()))
        return opened

    def _status_error(self, response: requests.Response, attempt: int) -> HistoryRequestError:
        status = response.status_code
        if response.is_redirect or response.is_permanent_redirect:
            target = urlsplit(response.headers.get("Location", ""))
            address = f"{target.scheme}://{target.hostname}" if target.hostname else "another path"
            return HistoryRequestError(
                f"{self.base_url} redirects to {address} (HTTP {status}). The redirect was not followed, because the "
                "API key belongs to the first address: if the second is right, pass it as `base_url`"
            )
        is_page = "html" in response.headers.get("Content-Type", "")
        text = response.reason or "" if is_page else response.content.decode("utf-8", "replace")
        said = describe_answer(self.conceal_key(text))
        # Servers refuse an invalid query this way, for example one with an unknown field.
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
            return "this API key does not have access"
        if status == 404:
            return "check the base URL, and that the run exists"
        if status == 429:
            delay = requested_wait(response.headers)
            return f"the rate limit is exceeded, wait {f'{delay:.0f} s' if delay and isfinite(delay) else 'a while'}"
        if status >= 500:
            return "the server failed, try again later"
        return "the server does not accept this request"


def _has_errors(response: requests.Response) -> bool:
    """Returns True if the body is a GraphQL answer with errors."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and bool(answer.get("errors"))


def _tries(attempt: int) -> str:
    return f" (tried {attempt + 1} times)" if attempt else ""
