"""Serves the page to this machine, or to others if told so."""

import contextlib
import ipaddress
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from pipeline import InputError
from pipeline.demo.app import application


def serve(
    *,
    model: Path,
    host: str,
    port: int,
    open_browser: bool,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until a signal comes.

    Args:
        model: folder of the SavedModel.
        host: address or name to listen on; 127.0.0.1 is for this machine only.
        port: to listen on; 0 for any that is free.
        open_browser: show the page.
        say: prints a sentence.

    Raises:
        InputError: there is no such model, or nobody can listen there.
    """
    listening = _listen(host, port)
    with listening:
        app = application(model, hosts=[host.lower()])
        address, port = listening.getsockname()[:2]
        everywhere = ipaddress.ip_address(address).is_unspecified
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            host, f"[{host}]" if ":" in host else host
        )
        url = f"http://{shown}:{port}/"
        if not ipaddress.ip_address(address).is_loopback:
            whom = "any of its addresses" if everywhere else address
            say(f"Whoever reaches this machine on {whom} can use the page; nothing is encrypted.")
        say(f"The page is at {url} until you press Ctrl-C.")
        if open_browser:
            # Some browsers keep their caller until they are closed.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        # No access log: nothing of what people do is written down.
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off",
            proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    listening = None
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # A browser that comes before the server is ready waits.
        listening.listen(128)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name a machine can have
        if listening:
            listening.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Nobody can listen on {host}, port {port} ({reason}): choose another with --port or "
            "--host."
        ) from error
    return listening
