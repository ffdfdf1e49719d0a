from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import time
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import fetch, fetch_bundle
from LandmarkDetectorLib.core import BundleError


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one archive in many ways, good and bad."""

    archive = b""

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/moved":
            return self._head(302, {"Location": "/toy.tar.gz"})
        if path == "/to-a-file":
            return self._head(302, {"Location": "file:///etc/passwd"})
        if path == "/to-ftp":
            return self._head(302, {"Location": "ftp://127.0.0.1/toy.tar.gz"})
        if path == "/round":
            return self._head(302, {"Location": "/round"})
        if path == "/missing":
            return self._head(404, {})
        if path == "/huge":
            return self._head(200, {"Content-Length": str(2**40)})
        if path == "/endless":
            self._head(200, {})
            while True:
                self.wfile.write(bytes(2**16))
        if path == "/slow":
            self._head(200, {"Content-Length": "1000"})
            for _ in range(1000):
                self.wfile.write(b"x")
                time.sleep(0.05)
            return None
        if path == "/silent":
            return time.sleep(3)
        if path == "/broken":
            self._head(200, {"Content-Length": str(len(self.archive))})
            return self.wfile.write(self.archive[:100])
        if path == "/nonsense":
            return self.wfile.write(b"this is not http\r\n\r\n")
        self._head(200, {"Content-Length": str(len(self.archive))})
        return self.wfile.write(self.archive)

    def _head(self, code: int, headers: dict) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that hang up are what these tests are about."""


@pytest.fixture
def served(folder: Path, monkeypatch):
    """Address of a server that has the toy bundle, and the archive's SHA-256."""
    monkeypatch.setenv("no_proxy", "*")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.add(folder, arcname="toy-head")
    monkeypatch.setattr(Handler, "archive", buffer.getvalue())
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", hashlib.sha256(buffer.getvalue()).hexdigest()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/toy.tar.gz", "/moved"])
def test_a_bundle_is_fetched_and_imported(served, store: Path, path: str):
    address, sha256 = served
    bundle = fetch_bundle(address + path, sha256)
    assert bundle.folder == store / "toy-head"
    assert [entry.name for entry in store.iterdir()] == ["toy-head"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "the server answered 404"),
        ("/huge", "larger than the 1025 MB"),
        ("/broken", "broke off after 100 of"),
        ("/to-a-file", "the server answered 302"),
        ("/to-ftp", "from an http or https address only"),
        ("/round", "the server answered 302"),
        ("/nonsense", "the answer is not HTTP"),
    ],
)
def test_a_server_that_misbehaves_is_told_and_nothing_is_kept(served, store: Path, path: str, reason: str):
    address, sha256 = served
    with pytest.raises(BundleError, match=reason) as told:
        fetch_bundle(address + path, sha256)
    assert "\n" not in str(told.value)
    assert not store.exists()


def test_an_endless_answer_is_stopped(served, store: Path, monkeypatch):
    address, sha256 = served
    monkeypatch.setattr(fetch, "MAX_ARCHIVE_BYTES", 2**22)
    with pytest.raises(BundleError, match="larger than the 4 MB"):
        fetch_bundle(address + "/endless", sha256)
    assert not store.exists()


def test_a_server_that_drips_is_given_up(served):
    address, sha256 = served
    started = time.monotonic()
    with pytest.raises(BundleError, match="too slowly"):
        fetch_bundle(address + "/slow", sha256, time_limit=0.3)
    assert time.monotonic() - started < 3


def test_a_server_that_says_nothing_is_given_up(served):
    address, sha256 = served
    started = time.monotonic()
    with pytest.raises(BundleError, match="no answer in time"):
        fetch_bundle(address + "/silent", sha256, timeout=0.3)
    assert time.monotonic() - started < 2.5


def test_the_wrong_sha256_is_refused(served, store: Path):
    address, _ = served
    with pytest.raises(BundleError, match="has the SHA-256"):
        fetch_bundle(address + "/toy.tar.gz", "0" * 64)
    assert not store.exists()


def test_there_is_no_fetching_without_a_sha256(served):
    address, _ = served
    with pytest.raises(TypeError):
        fetch_bundle(address + "/toy.tar.gz")
    with pytest.raises(BundleError, match="is not a SHA-256"):
        fetch_bundle(address + "/toy.tar.gz", "")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "ftp://example.org/a.zip",
            "data:application/zip;base64,UEs=",
            "",
        ),
        *("/etc/passwd", "http://", "http:///a.zip", "javascript:alert(1)", "http://[::1/a.zip"),
    ],
)
def test_only_addresses_of_the_web_are_fetched(url: str):
    with pytest.raises(BundleError, match="from an http or https address only"):
        fetch_bundle(url, "0" * 64)


def test_passwords_in_an_address_are_not_repeated(served):
    address, sha256 = served
    with pytest.raises(BundleError) as told:
        fetch_bundle(address.replace("://", "://user:hunter2@") + "/missing?token=secret", sha256)
    assert "hunter2" not in str(told.value) and "secret" not in str(told.value)


def test_nobody_there_is_told(store: Path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(BundleError, match="could not be fetched"):
        fetch_bundle("http://127.0.0.1:9/a.zip", "0" * 64, timeout=2)
    assert not store.exists()
