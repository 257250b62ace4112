"""Which models there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from service import wire
from service.routes.health import house_of

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The loaded models and what they say of themselves, and which of them answer who names none."""
    house = house_of(request)
    return {"models": [wire.model(manifest) for manifest in house.manifests()], "default": house.default_models}
