"""`python -m service`: serve until stopped; with `--contracts DIR`, write openapi.json and asyncapi.json instead."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from service.app import create_app
from service.routes.contracts import contracts
from service.settings import Settings, unknown_variables
from service.websocket import WebSocketProtocol

_CLOSING_S, _LOOK_S = 2.0, 0.01
"""How long callers have to answer the close when the service stops, and how often that is looked at."""


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where the address cannot be had or the models do not load."""
    parser = argparse.ArgumentParser(prog="python -m service", description="Serve gesture and signing events.")
    parser.add_argument("--host", help="address to listen on (HOST; default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for any (PORT; default 8000)")
    parser.add_argument("--contracts", type=Path, metavar="DIR", help="write both contracts there and serve nothing")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    written: Path | None = given.pop("contracts", None)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{step}: " for step in first["loc"])
        parser.error(where + first["msg"])
    if written is not None:
        for name, text in contracts(create_app(settings)).items():
            (written / name).write_text(text, "utf-8")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for name in unknown_variables(os.environ):
        logging.getLogger("signstream").warning("%s is set, but there is no such setting", name)
    try:
        listening = _listen(settings)
    except OSError as error:
        print(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            ws=WebSocketProtocol,
            ws_max_size=settings.max_message_bytes,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=10,
        )
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    failed: list[BaseException] = []

    def warmed(failure: BaseException | None) -> None:
        if failure is None:
            # What is there now stays to the end: looking it over again and again would hold up every stream.
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 100)
            print(f"signstream is ready: http://{shown}:{port}", flush=True)
        else:
            failed.append(failure)
            server.should_exit = True

    app.state.house.on_warmed = warmed
    print(f"signstream warms up: http://{shown}:{port}", flush=True)
    server.run(sockets=[listening])
    for failure in failed:
        print(f"signstream cannot start: {failure}", file=sys.stderr)
    return 1 if failed else 0


class _Server(uvicorn.Server):
    """Told to stop, it lets sessions say what they have to say before sockets are closed."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then as ever; new sessions are refused meanwhile."""
        app = self.config.app
        assert isinstance(app, FastAPI)
        await app.state.house.sessions.drain()
        # Whoever is sending would be reset, and lose what was said last: first let the other side answer the close.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while any(getattr(one, "close_sent", False) for one in self.server_state.connections):
                    await asyncio.sleep(_LOOK_S)
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sends small messages at once; else two in a row wait for the client (Nagle).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


if __name__ == "__main__":
    sys.exit(main())
