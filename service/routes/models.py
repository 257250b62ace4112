"""Which models there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from service import wire
from service.routes.health import house_of

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The loaded models and what they say of themselves."""
    return {"models": [wire.model(manifest) for manifest in house_of(request).manifests()]}
