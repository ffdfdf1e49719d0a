"""Fetching a bundle from an address, for those who have its SHA-256 from somebody they trust."""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from LandmarkDetectorLib.bundles.archive import MAX_ARCHIVE_BYTES
from LandmarkDetectorLib.bundles.bundle import Bundle
from LandmarkDetectorLib.bundles.staging import disk_errors
from LandmarkDetectorLib.bundles.store import check_sha256, import_archive
from LandmarkDetectorLib.core.errors import BundleError

SCHEMES = ("http", "https")
_BLOCK = 2**18


def fetch_bundle(
    url: str, sha256: str, *, replace: bool = False, timeout: float = 30.0, time_limit: float = 900.0
) -> Bundle:
    """Fetch an archive and import it.

    The SHA-256 is not optional: it, and not the address, says which bundle is meant. Nothing is written to the user's
    folder before it matches.

    Args:
        url: ``https://`` or ``http://``; redirections stay with these.
        sha256: of the archive, 64 hexadecimal digits.
        replace: see :func:`~LandmarkDetectorLib.bundles.store.import_bundle`.
        timeout: seconds to wait for an answer, and for each further piece.
        time_limit: seconds for the whole.

    Raises:
        BundleError: another scheme; the server does not answer, is too slow or sends too much; the SHA-256 differs; or
            the bundle is not acceptable.
    """
    expected = check_sha256(sha256)
    where = _spoken(url)
    deadline = time.monotonic() + time_limit
    request = urllib.request.Request(url, headers={"User-Agent": "LandmarkDetector", "Accept-Encoding": "identity"})
    with disk_errors(f"Fetching {where}"), tempfile.TemporaryFile() as archive:
        try:
            with _opener().open(request, timeout=timeout) as response:
                _receive(response, archive, where, deadline)
        except BundleError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise BundleError(f"{where} could not be fetched ({_reason(exc)}); check address and connection.") from exc
        return import_archive(archive, where, sha256=expected, replace=replace)


def _receive(response: Any, archive: IO[bytes], where: str, deadline: float) -> None:
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{where} is larger than the {MAX_ARCHIVE_BYTES >> 20} MB a bundle may have.")
    size = 0
    # read1: what has come, so that a server which drips bytes meets the deadline.
    while block := response.read1(_BLOCK):
        size += len(block)
        if size > MAX_ARCHIVE_BYTES:
            raise BundleError(f"{where} is larger than the {MAX_ARCHIVE_BYTES >> 20} MB a bundle may have.")
        if time.monotonic() > deadline:
            raise BundleError(f"{where} came too slowly and was given up; try again later.")
        with disk_errors(f"Keeping what came from {where}"):
            archive.write(block)
    if declared.isdecimal() and size != int(declared):
        raise BundleError(f"{where} broke off after {size} of {declared} bytes; try again.")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirections to the web only; the standard handler would also follow one to ftp."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _spoken(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener without the handlers for files, ftp and data that ``urlopen`` brings along."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _spoken(url: str) -> str:
    """The address without user, password and query, for messages.

    Raises:
        BundleError: it is not an address of the web.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme.lower() not in SCHEMES:
        raise BundleError("A bundle is fetched from an http or https address only; import a file instead.")
    return f"{parts.scheme}://{host}{parts.path}"


def _reason(exc: Exception) -> str:
    """Why, in words of ours: what a server says may hold anything."""
    if isinstance(exc, urllib.error.HTTPError):
        return f"the server answered {exc.code}"
    if isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, Exception):
        exc = exc.reason
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    return "the answer is not HTTP" if isinstance(exc, http.client.HTTPException) else type(exc).__name__
