"""TLS, certificates and proxies: which options are respected, and the errors when they fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests.adapters
from requests.exceptions import InvalidSchema

from histscan.errors import HistoryRequestError
from histscan.sources import retry
from histscan.sources.client import Client
from histscan.sources.exported_requests import FileRequests
from tests.support.client_answers import OK, QUERY
from tests.support.graphql_server import Answer, GraphQLServer, serving
from tests.support.paths import DATA

CERTIFICATES = DATA / "tls"
VALID = CERTIFICATES / "valid.pem"
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BUNDLES, *PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(retry, "sleep", lambda seconds: None)


@pytest.fixture(scope="module")
def secure() -> Iterator[GraphQLServer]:
    """A server with a self-signed certificate."""
    with serving(lambda request: OK, VALID) as running:
        yield running


# Certificates


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_of_the_environment(secure: GraphQLServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, str(VALID))
    assert Client(secure.url, "k").execute(QUERY) == {"viewer": {"id": "me"}}
    file = FileRequests(f"{secure.url}/file")
    assert file.get({}, (200,), lambda response: response.content) == OK.body


def test_what_requests_reads_goes_before_what_openssl_reads(
    secure: GraphQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "expired.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(VALID))
    assert Client(secure.url, "k").execute(QUERY) == {"viewer": {"id": "me"}}


def test_a_missing_file_of_requests_is_an_error_that_names_it(
    secure: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(HistoryRequestError, match=r"REQUESTS_CA_BUNDLE is set to .*none\.pem', which does not exist"):
        Client(secure.url, "k").execute(QUERY)


def test_a_missing_file_of_openssl_is_passed_over(
    secure: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(HistoryRequestError, match="not from a trusted certificate authority"):
        Client(secure.url, "k").execute(QUERY)


def test_an_unknown_authority(secure: GraphQLServer) -> None:
    before = len(secure.received)
    with pytest.raises(HistoryRequestError, match=r"\(self.signed certificate\): set REQUESTS_CA_BUNDLE, or SSL_CERT"):
        Client(secure.url, "k").execute(QUERY)
    assert len(secure.received) == before


def test_an_unknown_authority_of_exported_files(secure: GraphQLServer) -> None:
    before = len(secure.received)
    with pytest.raises(
        HistoryRequestError, match=r"exported history, could not be reached securely.*CA_BUNDLE"
    ) as failure:
        FileRequests(f"{secure.url}/file?signature=hunter2").get({}, (200,), lambda response: None)
    assert "hunter2" not in str(failure.value)
    assert len(secure.received) == before


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired.pem", r"is not valid now \(certificate has expired\): check this machine's clock"),
        ("other-host.pem", r"is for another host \(.*127\.0\.0\.1'\): check the base URL"),
    ],
)
def test_a_certificate_that_does_not_hold(monkeypatch: pytest.MonkeyPatch, certificate: str, reason: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / certificate))
    with (
        serving(lambda request: OK, CERTIFICATES / certificate) as server,
        pytest.raises(HistoryRequestError, match=f"could not be reached securely: its TLS certificate {reason}"),
    ):
        Client(server.url, "k").execute(QUERY)


def test_a_file_without_certificates(secure: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("none here\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(HistoryRequestError, match="SSL_CERT_FILE names a file without certificates"):
        Client(secure.url, "k").execute(QUERY)


def test_a_server_without_tls(server: GraphQLServer) -> None:
    with pytest.raises(HistoryRequestError, match=r"securely: it does not speak TLS on this port.*write http://"):
        Client(server.url.replace("http:", "https:"), "k").execute(QUERY)


# Proxies


def test_a_proxy_never_sees_what_goes_to_this_machine(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond = lambda request: OK
    with serving(lambda request: Answer(b"", 500)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            assert Client(url, "k").execute(QUERY) == {"viewer": {"id": "me"}}
        assert proxy.received == []


def test_a_proxy_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda request: OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        client = Client("http://wandb.invalid", "k", allow_http=True)
        assert client.execute(QUERY) == {"viewer": {"id": "me"}}
        assert proxy.received[0].path == "http://wandb.invalid/graphql"


def test_a_proxy_that_makes_no_tunnel(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    with pytest.raises(HistoryRequestError, match=r"through the proxy \(Tunnel connection failed: 501.*HTTPS_PROXY"):
        Client("https://wandb.invalid", "k", retries=0).execute(QUERY)


def test_a_proxy_with_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://:8080")
    with pytest.raises(HistoryRequestError, match="proxy in HTTPS_PROXY or ALL_PROXY is not a valid address"):
        Client("https://wandb.invalid", "k", retries=0).execute(QUERY)


def test_a_socks_proxy_without_pysocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any, **options: Any) -> NoReturn:
        # The text of requests if PySocks is not installed.
        raise InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", missing)
    monkeypatch.setenv("ALL_PROXY", "socks5h://user:hunter2@127.0.0.1:1080")
    with pytest.raises(HistoryRequestError, match=r"needs PySocks: pip install 'requests\[socks\]'") as failure:
        Client("https://wandb.invalid", "k").execute(QUERY)
    assert "hunter2" not in str(failure.value)


class Socks:
    """A SOCKS 5 proxy on loopback that forwards every connection to one address."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.names: list[bytes] = []
        self.url = f"socks5h://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, socket.create_connection(("127.0.0.1", self._target)) as target:
            methods = connection.recv(2)[1]
            connection.recv(methods)
            connection.sendall(b"\5\0")
            name_length = connection.recv(5)[4]
            self.names.append(connection.recv(name_length + 2)[:-2])
            connection.sendall(b"\5\0\0\1\0\0\0\0\0\0")
            backwards = threading.Thread(target=_pass_on, args=(target, connection), daemon=True)
            backwards.start()
            _pass_on(connection, target)
            backwards.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_requests_go_through_a_socks_proxy(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socks")
    server.respond = lambda request: OK
    proxy = Socks(int(server.url.rpartition(":")[2]))
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    with Client("http://wandb.invalid", "k", allow_http=True) as client:
        assert client.execute(QUERY) == {"viewer": {"id": "me"}}
    proxy.close()
    assert proxy.names == [b"wandb.invalid"]
    assert len(server.received) == 1


def test_a_socks_proxy_of_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socks")
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    with pytest.raises(HistoryRequestError, match=r"must begin with socks5h://"):
        Client("https://wandb.invalid", "k").execute(QUERY)


def test_a_socks_proxy_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socks")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{port}")
    with pytest.raises(HistoryRequestError, match="the SOCKS proxy in ALL_PROXY or HTTPS_PROXY did not connect"):
        Client("https://wandb.invalid", "k", retries=0).execute(QUERY)
