"""Serve the demo to this machine or to others."""

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
        port: to listen on; 0 for any free port.
        open_browser: open the page in a browser.
        say: prints a sentence.

    Raises:
        InputError: there is no such model, or the address cannot be listened on.
    """
    with _listen(host, port) as listener:
        app = application(model, hosts=[host.lower()])
        address, port = listener.getsockname()[:2]
        ip = ipaddress.ip_address(address)
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        url = f"http://{f'[{name}]' if ':' in name else name}:{port}/"
        if not ip.is_loopback:
            where = "any of its addresses" if ip.is_unspecified else address
            say(f"Whoever reaches this machine on {where} can use the page; nothing is encrypted.")
        say(f"The page is at {url} until you press Ctrl-C.")
        if open_browser:
            # Some browsers block until they are closed.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        # No access log: what users do is not recorded.
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off",
            proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        # It listens before the server is ready, so an early browser waits.
        return socket.create_server(address, family=family, backlog=128, dualstack_ipv6=dual)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        raise InputError(
            f"Cannot listen on {host}, port {port} ({getattr(error, 'strerror', None) or error}): "
            "choose another with --port or --host."
        ) from error
