"""WebSockets: `/ws/echo`, `/ws/info`, `/ws/close/{code}`, `/ws/deny/{status}`."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

_LAST_CODE: Final = 4999


async def _accept(peer: WebSocket) -> None:
    """Accept, with the first of the subprotocols offered."""
    offered: list[str] = peer.scope["subprotocols"]
    await peer.accept(offered[0] if offered else None)


async def _echo(peer: WebSocket) -> None:
    """Send every message back as it came, text or bytes, until the peer closes."""
    await _accept(peer)
    while (message := await peer.receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text is None:
            await peer.send_bytes(message["bytes"])
        else:
            await peer.send_text(text)


async def _info(peer: WebSocket) -> None:
    """Tell what the handshake said, as a message of JSON, then close."""
    await _accept(peer)
    about = {
        "url": str(peer.url),
        "args": dict(peer.query_params),
        "headers": dict(peer.headers),
        "subprotocols": peer.scope["subprotocols"],
    }
    await peer.send_text(orjson.dumps(about).decode("utf-8"))
    await peer.close()


async def _close(peer: WebSocket) -> None:
    """Accept, then close with the code of the path (3000 to 4999, or 1000 to 1003, 1007 to 1013) and `?reason=`."""
    code: int = peer.path_params["code"]
    await _accept(peer)
    await peer.close(min(code, _LAST_CODE), peer.query_params.get("reason"))


async def _deny(peer: WebSocket) -> None:
    """Answer the handshake with the status of the path, from 300 to 599, and a line of text."""
    status: int = max(300, min(peer.path_params["status"], 599))
    headers = {"www-authenticate": 'Basic realm="testbed"'} if status == 401 else None
    await peer.send_denial_response(PlainTextResponse(f"{status}: no WebSocket here\n", status, headers))


def routes() -> list[BaseRoute]:
    """Return the endpoints of this file."""
    return [
        WebSocketRoute("/ws/echo", _echo),
        WebSocketRoute("/ws/info", _info),
        WebSocketRoute("/ws/close/{code:int}", _close),
        WebSocketRoute("/ws/deny/{status:int}", _deny),
    ]
