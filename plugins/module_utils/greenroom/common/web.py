# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""HTTP requests that end by a deadline, whatever the server does.

A socket's own timeout starts again with each byte, so a server that sends one byte a second can block a client forever.
Here, each read and write waits only for the time left until the deadline. Standard library only: this runs on hosts.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a response to read. A longer one is an error, so that it can't fill the memory."""


class WebError(Exception):
    """A request got no response; the text is the reason in one short line."""


class UnreachedError(WebError):
    """A request was never sent, because the server could not be reached."""


class Deadline:
    """A moment (monotonic clock) by which something must end."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the deadline `seconds` from now."""
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Return the seconds left, 0 after the deadline."""
        return max(0.0, self._at - self._clock())

    def earlier(self, seconds: float) -> Deadline:
        """Return the deadline `seconds` from now, or this one if it is earlier."""
        return Deadline(min(seconds, self.left()), self._clock)

    def before(self, seconds: float) -> Deadline:
        """Return the deadline `seconds` before this one."""
        return Deadline(self.left() - seconds, self._clock)

    def wait(self) -> float:
        """Return the seconds left for one blocking call; raises TimeoutError after the deadline."""
        left = self.left()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True)
class Request:
    """An HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """A response: `status`, `headers` (case-insensitive, with repeats), `body` (bytes), and the request's `url`."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    url: str

    @property
    def text(self) -> str:
        """The body as text, in the response's charset or UTF-8; invalid bytes are replaced."""
        charset = self.headers.get_content_charset() or "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str | None:
        """Return a header's value (repeats joined by a comma), None without that header."""
        values = self.headers.get_all(name)
        return None if values is None else ", ".join(values)


@dataclass(frozen=True)
class Network:
    """How to reach servers: `resolve` maps names to addresses, `ca_file` has the CAs to trust (None: the system's).

    With `public`, the system's CAs are trusted in addition to those in `ca_file`. `certificate` is a file with a client
    certificate for servers that ask for one, `key` one with its key (None: in the same file).
    """

    resolve: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    public: bool = False
    certificate: str | None = None
    key: str | None = None

    def address(self, host: str) -> str:
        """Return where to connect for a host name; `resolve` may have all names one label below a domain, as `*.`."""
        return self.resolve.get(host) or self.resolve.get(f"*.{host.partition('.')[2]}") or host


class _TimedReader(io.RawIOBase):
    """The reading end of a socket, with a deadline; `ended` says whether the server has closed it."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.ended = False
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.wait())
        size = self._sock.recv_into(buffer)
        self.ended = not size
        return size


class _TimedSocket:
    """The part of a socket that http.client uses, with a deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.reader = _TimedReader(sock, deadline)
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.wait())
            view = view[self._sock.send(view) :]

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        return io.BufferedReader(self.reader)

    def close(self) -> None:
        """Do nothing: http.client closes the socket before it reads the response; `request` closes it at the end."""


def _addresses(host: str, port: int, network: Network, deadline: Deadline) -> list[Any]:
    """Look up `host`, in a separate thread because the resolver has no timeout."""
    found: list[Any] = []
    failed: list[Exception] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(network.address(host), port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.wait())
    if thread.is_alive():
        raise WebError(f"the name {host} was not resolved in time")
    if failed:
        raise WebError(f"the name {host} does not resolve")
    return found


def connect(host: str, port: int, network: Network, deadline: Deadline) -> socket.socket:
    """Open a TCP connection to `host`, trying its addresses in order. Raises WebError or TimeoutError."""
    last = WebError(f"the name {host} has no address")
    for family, kind, protocol, _name, address in _addresses(host, port, network, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.wait())
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except TimeoutError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            last = WebError(f"{address[0]} port {port}: {error.strerror or error}")
    raise last


@lru_cache(maxsize=8)
def _context(ca_file: str | None, public: bool, certificate: str | None, key: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WebError(f"CA file {ca_file}: {error.strerror or error}") from error
    if public:
        context.load_default_certs()
    if certificate:
        try:
            # Without a password, OpenSSL would ask on the terminal for that of an encrypted key.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            files = certificate if key is None else f"{certificate}, key {key}"
            raise WebError(f"client certificate {files}: {getattr(error, 'strerror', None) or error}") from error
    return context


def encrypt(sock: socket.socket, host: str, network: Network, deadline: Deadline) -> ssl.SSLSocket:
    """Start TLS with `host` as the name (SNI and verification). Raises WebError or TimeoutError, and closes `sock`."""
    try:
        sock.settimeout(deadline.wait())
        # A body may end with the connection. Without TLS' own end, it was cut off.
        return _context(network.ca_file, network.public, network.certificate, network.key).wrap_socket(
            sock, server_hostname=host, suppress_ragged_eofs=False
        )
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise WebError(f"certificate of {host} not accepted: {error.verify_message}") from error
    except ssl.SSLError as error:
        sock.close()
        raise WebError(f"TLS with {host} failed: {error.reason or error}") from error
    except (OSError, WebError):
        sock.close()
        raise


class Connection:
    """A connection that stays open between requests to the same server.

    Use it in one thread at a time.
    """

    def __init__(self, network: Network) -> None:
        """Set up without connecting; the first request opens the connection."""
        self._network = network
        self._sock: socket.socket | None = None
        self._peer: tuple[str, str, int] | None = None

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def ask(self, wanted: Request, deadline: Deadline, limit: int | None = None) -> Answer:
        """Send one request and read the response, at most `limit` or BODY_LIMIT bytes; doesn't follow redirects.

        Never sends a request twice. Raises WebError if there is no complete response by the deadline, UnreachedError if
        nothing was sent.
        """
        parts = urlsplit(wanted.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnreachedError(f"not an HTTP URL: {wanted.url}")
        if parts.username is not None:
            raise UnreachedError("a URL must not contain credentials")
        limit = BODY_LIMIT if limit is None else limit
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        client = http.client.HTTPConnection(parts.hostname)
        keep, reached, started = False, False, time.monotonic()
        try:
            sock = client.sock = _TimedSocket(self._open(parts.scheme, parts.hostname, parts.port, deadline), deadline)
            reached = True
            client.request(wanted.method, target, wanted.body, {"Host": parts.netloc, **wanted.headers})
            with client.getresponse() as response:
                cut_off = sock.reader.ended
                content = response.read(limit + 1)
                # Only a body without length and chunks ends with the connection; http.client lets any response do so.
                if cut_off or (sock.reader.ended and (response.chunked or response.length is not None)):
                    raise http.client.IncompleteRead(content)
                keep = response.isclosed() and not response.will_close
        except TimeoutError as error:
            kind = WebError if reached else UnreachedError
            raise kind(f"no complete response within {time.monotonic() - started:.1f} s") from error
        except (http.client.IncompleteRead, ssl.SSLEOFError) as error:
            raise WebError("no complete response: the connection ended") from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            kind = WebError if reached else UnreachedError
            raise kind(f"{type(error).__name__}: {error}") from error
        finally:
            if not keep:
                self.close()
        if len(content) > limit:
            raise WebError(f"response longer than {limit} bytes")
        return Answer(response.status, response.headers, content, wanted.url)

    def _open(self, scheme: str, host: str, port: int | None, deadline: Deadline) -> socket.socket:
        """Return the open socket, or a new one if there is none or the server has closed it."""
        peer = (scheme, host, port or (443 if scheme == "https" else 80))
        # A server sends nothing without a request. If there is something to read, the connection has ended.
        if self._sock is not None and (peer != self._peer or select.select([self._sock], [], [], 0)[0]):
            self.close()
        if self._sock is None:
            try:
                self._sock = connect(host, peer[2], self._network, deadline)
                if scheme == "https":
                    self._sock = encrypt(self._sock, host, self._network, deadline)
            except WebError as error:
                raise UnreachedError(str(error)) from error
            self._peer = peer
        return self._sock


def request(wanted: Request, network: Network, deadline: Deadline) -> Answer:
    """Send one request on a new connection and read the whole response; doesn't follow redirects.

    Raises WebError if there is no complete response by the deadline.
    """
    connection = Connection(network)
    try:
        alone = Request(wanted.method, wanted.url, {"Connection": "close", **wanted.headers}, wanted.body)
        return connection.ask(alone, deadline)
    finally:
        connection.close()


def days_left(sock: ssl.SSLSocket) -> float:
    """Return the number of days for which the peer's (verified) certificate is still valid."""
    certificate = sock.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86400
