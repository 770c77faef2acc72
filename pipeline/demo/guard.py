"""Middleware that refuses foreign and oversized requests, and adds security headers."""

import ipaddress
import socket
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 64 * 1024  # of a body
_TOO_LARGE = f"The text is too long: a request may have {MAX_BYTES // 1024} KB."


def refuse(status: int, sentence: str) -> JSONResponse:
    """Return an error response with one sentence."""
    return JSONResponse({"error": sentence}, status)


class Guard:
    """Refuses requests that the page does not send, before anything reads them.

    Another site could ask in the user's name: from its own origin, or by resolving its name to this
    machine (DNS rebinding), which works for names only, so all addresses are accepted.

    Args:
        app: the application.
        hosts: names of this machine in URLs, besides localhost and its host name.
        policy: Content-Security-Policy of all responses.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], policy: str):
        self._app = app
        self._hosts = hosts | {"localhost", socket.gethostname().lower()}
        self._headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            return await refusal(scope, receive, answer)
        return await self._app(scope, limited, answer)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_known(host):
            return refuse(403, "This machine does not answer to that name.")
        if origin is not None and origin.partition("://")[2] != host:
            return refuse(403, "Only the page itself may ask.")
        if method == "POST" and not headers.get("content-type", "").startswith("application/json"):
            return refuse(415, "The body must be application/json.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BYTES:
            return refuse(413, _TOO_LARGE)
        return None

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name not in self._hosts:
                ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
