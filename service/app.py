"""The app, built from its parts; nothing happens at import."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from landmarks.errors import LandmarkError
from service.engine import Engine
from service.errors import InvalidRequest, Problem, SignstreamError, problem_of
from service.house import House
from service.limits import BodyLimit, PageHeaders
from service.openapi import operation_id
from service.routes import clips, contracts, health, inference, models, sessions, stream
from service.settings import Settings

logger = logging.getLogger("signstream")


def create_app(settings: Settings | None = None, engines: Sequence[Engine] | None = None) -> FastAPI:
    """The service.

    settings: from the environment by default. engines: the models; those of `settings.models_dir` by default.
    """
    settings = settings or Settings()
    house = House(settings, engines)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with house.running():
            yield

    app = FastAPI(
        title="signstream",
        summary="Watches hands: gesture and signing events from landmarks, pictures and videos.",
        version="0.1.0",
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        openapi_url=None,  # FastAPI's pages load scripts from elsewhere; ours, see routes/contracts.py, do not
    )
    app.state.house = house
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    for routes in (health, models, clips, sessions, stream, contracts, inference):
        app.include_router(routes.router)
    if settings.page_dir.is_dir():
        app.mount("/", PageHeaders(StaticFiles(directory=settings.page_dir, html=True)))

    def answer(problem: Problem) -> Response:
        house.metrics.problems.labels(problem.code).inc()
        headers = {"Retry-After": "2"} if problem.status == 503 else None
        return JSONResponse(problem.body(), problem.status, headers, media_type="application/problem+json")

    async def known(_: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None:  # a subclass registered below always has one
            raise error
        return answer(problem)

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return answer(InvalidRequest(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}").problem)

    async def by_status(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        title = str(error.detail)
        return answer(Problem(error.status_code, title.lower().replace(" ", "-"), title, title))

    async def failed(_: Request, error: Exception) -> Response:
        logger.exception("a request failed", exc_info=error)
        return answer(SignstreamError("the failure is in the service's log").problem)

    for kind, handler in (
        (SignstreamError, known),
        (LandmarkError, known),
        (RequestValidationError, refused),
        (HTTPException, by_status),
        (Exception, failed),
    ):
        app.add_exception_handler(kind, handler)
    return app
