"""Serve the page of a model, as any static file host would, to this machine or to others."""

import contextlib
import ipaddress
import re
import socket
import sys
import threading
import time
import weakref
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipeline import InputError

# What the page is made of: where, which file, and its type.
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/index.html": ("index.html", "text/html; charset=utf-8"),
    "/sw.js": ("sw.js", "text/javascript; charset=utf-8"),
}
_POLICY = re.compile(rb'http-equiv="Content-Security-Policy" content="([^"\r\n]*)"')
_HEADERS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Seconds that a client may be silent, and that answers may still take when the server ends.
_SILENT, _LAST = 30.0, 4.0


class _File(NamedTuple):
    """What is answered for a path."""

    content: bytes
    kind: str
    policy: str


Files = dict[str, _File]


def demo(
    *,
    model: Path,
    host: str,
    port: int,
    open_browser: bool,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until a signal comes. It asks nothing of the server.

    Args:
        model: folder that `export` wrote with the format page.
        host: address or name to listen on; 127.0.0.1 is for this machine only.
        port: to listen on; 0 for any free port.
        open_browser: open the page in a browser.
        say: prints a sentence.

    Raises:
        InputError: there is no page in the folder, or the address cannot be listened on.
    """
    with listen(host, port, read_files(model)) as server:
        _, port = server.server_address[:2]
        ip = ipaddress.ip_address(str(server.server_address[0]))
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        url = f"http://{f'[{name}]' if ':' in name else name}:{port}/"
        if not ip.is_loopback:
            where = "any of its addresses" if ip.is_unspecified else ip
            say(f"Whoever reaches this machine on {where} can load the page, with the model in it.")
        say(f"The page is at {url} until you press Ctrl-C.")
        if open_browser:
            # Some browsers block until they are closed.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def read_files(folder: Path) -> Files:
    """Return what is answered, by path.

    Raises:
        InputError: there is no page in the folder.
    """
    return {path: _read(folder / name, kind) for path, (name, kind) in _FILES.items()}


def _read(file: Path, kind: str) -> _File:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"No page can be read from {file}: run `nextword export --format page` first, or name "
            "the folder that it wrote."
        ) from error
    # The page has its own policy; only a header can also forbid frames. The service worker loads
    # the page once more, and nothing else.
    found = _POLICY.search(content)
    policy = "default-src 'self'"
    if found:
        policy = f"{found[1].decode('latin-1')}; frame-ancestors 'none'"
    return _File(content, kind, policy)


def listen(host: str, port: int, files: Files) -> "_Server":
    """Return a server that listens already, and does not yet answer.

    Raises:
        InputError: the address cannot be listened on.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _Server(family, address[:2], files, host)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        raise InputError(
            f"Cannot listen on {host}, port {port} ({getattr(error, 'strerror', None) or error}): "
            "choose another with --port or --host."
        ) from error


class _Server(ThreadingHTTPServer):
    """Serves some files, each client in a thread; at the end it waits a while for answers.

    Args:
        family: of the address.
        address: to listen on.
        files: by their paths in URLs.
        host: name of this machine in URLs, besides localhost and its host name.
    """

    daemon_threads = True
    request_queue_size = 128  # with the 5 of socketserver, many at once wait for a second

    def __init__(self, family: socket.AddressFamily, address: tuple, files: Files, host: str):
        self.address_family = family
        self.files = files
        self.names = {"localhost", socket.gethostname().lower(), host.lower()}
        self.answering: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        super().__init__(address, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.answering.add(threading.current_thread())
        super().process_request_thread(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        end = time.monotonic() + _LAST
        for thread in list(self.answering):
            thread.join(max(0.0, end - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that goes away or is silent."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT

    def do_GET(self) -> None:
        file = self.server.files.get(self.path.partition("?")[0])
        if not self._is_known(self.headers.get("Host", "")):
            # A model may have learned from private text, and another site may have its name lead to
            # this machine (DNS rebinding); that works for names only.
            self.send_error(403, "This machine does not answer to that name")
        elif file is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Type", file.kind)
            self.send_header("Content-Length", str(len(file.content)))
            self.send_header("Content-Security-Policy", file.policy)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(file.content)

    do_HEAD = do_GET

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        return "nextword"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: what users do is not recorded."""

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name not in self.server.names:
                ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
