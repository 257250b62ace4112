"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from service.house import House
from service.rest import Alive, Readiness

router = APIRouter(tags=["health"])


def house_of(request: Request) -> House:
    """What the running app shares."""
    return request.app.state.house


@router.get("/livez", summary="Does it live?", response_model=None, responses={200: {"model": Alive}})
async def livez() -> dict[str, str]:
    """200 while the process runs."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Is it ready?",
    response_model=None,
    responses={200: {"model": Readiness}, 503: {"model": Readiness}},
)
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """200 once every model and extractor is warm, with what the models really run on; 503 before, and once it is about
    to stop."""
    house = house_of(request)
    if house.ready and not house.sessions.draining:
        names = [manifest.name for manifest in house.manifests()]
        return {"status": "ready", "provider": house.provider, "fallback": house.fallbacks, "models": names}
    response.status_code = 503
    if house.failure is not None:
        return {"status": "failed", "detail": str(house.failure), "models": []}
    return {"status": "draining" if house.sessions.draining else "warming", "models": []}


@router.get("/metrics", summary="What it counts", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(house_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
