"""Error messages for servers that could not be reached: why, and what to do about it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from traceback import clear_frames

from histscan.sources.answers import one_line

__all__ = ["describe_failure", "describe_setup", "forget_locals", "is_transient"]

# OpenSSL's X509_V_ERR_ codes.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAMES = (62, 64)


def describe_failure(error: Exception, timeout: float) -> str:
    """Describes the failure of a request.

    Args:
        error: The exception from requests or urllib3.
        timeout: The request's timeout, in seconds.

    Returns:
        The rest of a sentence that begins with the server's address.
    """
    from requests import exceptions

    setup = describe_setup(error)
    if setup is not None:
        return setup
    if isinstance(error, exceptions.ConnectTimeout):
        return f"did not accept a connection within {timeout:g} s"
    if isinstance(error, exceptions.Timeout):
        return f"sent nothing for {timeout:g} s: pass a longer `timeout`, or a smaller `page_size`"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "closed the connection in the middle of its answer"
    if isinstance(error, exceptions.ContentDecodingError):
        return "sent an answer that could not be decompressed"
    if isinstance(error, exceptions.ProxyError):
        tunnel = next((str(cause) for cause in _causes(error) if str(cause).startswith("Tunnel")), "")
        said = f" ({one_line(tunnel)})" if tunnel else ""
        return f"could not be reached through the proxy{said}: check HTTPS_PROXY and NO_PROXY"
    return "could not be reached: check the base URL and the network"


def describe_setup(error: Exception) -> str | None:
    """Describes a failure that retries can't mend: a faulty configuration of certificates or proxies.

    Args:
        error: The exception from requests or urllib3. No part of its text that may contain an address is quoted.

    Returns:
        The rest of a sentence that begins with the server's address; None for other failures.
    """
    from requests import exceptions

    if isinstance(error, exceptions.SSLError):
        return f"could not be reached securely: {_describe_tls(error)}"
    if "SOCKS" in str(error):
        return f"could not be reached: {_describe_socks(error)}"
    if isinstance(error, exceptions.InvalidProxyURL):
        return "could not be reached: the proxy in HTTPS_PROXY or ALL_PROXY is not a valid address"
    return None


def is_transient(error: Exception) -> bool:
    """Returns True if a retry of the same request may succeed.

    Args:
        error: The exception from requests or urllib3.
    """
    from requests import exceptions

    transient = (
        exceptions.ConnectionError,
        exceptions.Timeout,
        exceptions.ChunkedEncodingError,
        exceptions.ContentDecodingError,
    )
    return isinstance(error, transient) and not isinstance(error, exceptions.SSLError)


def forget_locals(error: BaseException) -> None:
    """Removes the local variables from the tracebacks of an exception: those of requests have the sent headers.

    Tools that print local variables (rich, pytest, error trackers) would show the API key with them.

    Args:
        error: The exception, which is not raised any more.
    """
    for cause in _causes(error):
        clear_frames(cause.__traceback__)


def _describe_tls(error: Exception) -> str:
    cause = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = one_line(cause.verify_message).rstrip(".")
        if cause.verify_code in _OTHER_NAMES:
            return f"its TLS certificate is for another host ({said}): check the base URL"
        if cause.verify_code in (_EXPIRED, _NOT_YET_VALID):
            return f"its TLS certificate is not valid now ({said}): check this machine's clock"
        return (
            f"its TLS certificate is not from a trusted certificate authority ({said}): set REQUESTS_CA_BUNDLE, "
            "or SSL_CERT_FILE, to a PEM file with the certificates of that authority"
        )
    reason = (cause.reason or "") if cause is not None else ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "it does not speak TLS on this port. If it is a server for plain http, write http:// in the base URL"
    if cause is not None and cause.library in ("X509", "PEM"):
        return "REQUESTS_CA_BUNDLE or SSL_CERT_FILE names a file without certificates: set it to a PEM file"
    detail = f" ({one_line(reason.replace('_', ' ').lower())})" if reason else ""
    return f"the TLS connection failed{detail}: check the address and any proxies"


def _describe_socks(error: Exception) -> str:
    if "Missing dependencies" in str(error):
        return (
            "the proxy in ALL_PROXY or HTTPS_PROXY is a SOCKS proxy, which needs PySocks: pip install 'requests[socks]'"
        )
    if "SOCKS version" in str(error):
        return "the proxy in ALL_PROXY or HTTPS_PROXY must begin with socks5h://, socks5:// or socks4://"
    return "the SOCKS proxy in ALL_PROXY or HTTPS_PROXY did not connect: check its address and NO_PROXY"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and all that it wraps: arguments, reasons, causes and contexts."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        wrapped = (*found.args, getattr(found, "reason", None), found.__cause__, found.__context__)
        waiting += [cause for cause in wrapped if isinstance(cause, BaseException)]
