"""Which models there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from service import answers
from service.errors import NotReady
from service.keys import KEYED
from service.openapi import problems
from service.rest import Models
from service.routes.health import house_of

router = APIRouter(prefix="/v1", tags=["models"], dependencies=KEYED)


@router.get(
    "/models",
    summary="The models",
    response_model=None,
    responses={200: {"model": Models}, **problems(NotReady("try again in a moment"))},
)
async def models(request: Request) -> dict[str, Any]:
    """The loaded models and what they say of themselves, and which of them answer who names none."""
    house = house_of(request)
    return {"models": [answers.model(manifest) for manifest in house.manifests()], "default": house.default_models}
