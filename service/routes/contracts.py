"""The contracts themselves, and where to read them."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from service import asyncapi, openapi

router = APIRouter(include_in_schema=False)


def contracts(app: FastAPI) -> dict[str, str]:
    """Text of both contracts, by file name: as they are served, and kept in docs."""
    made = {"openapi.json": openapi.document(app), "asyncapi.json": asyncapi.document(app.title, app.version)}
    return {name: _text(document) for name, document in made.items()}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@router.get("/openapi.json")
@router.get("/asyncapi.json")
def contract(request: Request) -> Response:
    """Made when it is first asked for, on a thread: it takes a sixth of a second, which no frame should wait."""
    state = request.app.state
    if not hasattr(state, "contracts"):
        state.contracts = contracts(request.app)
    return Response(state.contracts[request.url.path.rpartition("/")[2]], media_type="application/json")


@router.get("/docs")
async def docs() -> Response:
    """The page that shows both."""
    return RedirectResponse("reference.html")
