"""Whole clips: a landmark file or a video in, windows and segments out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import UploadFile

from landmarks import formats
from landmarks.errors import FormatError, NoPerson, TimeError
from landmarks.extract import extract_video, looks_like_video
from landmarks.sequence import WEBCAM_ASPECT, LandmarkSequence
from service import answers
from service.decoder import Event
from service.engine import Engine
from service.errors import Busy, InvalidRequest, NotReady, TooLarge, UnknownModel, UnsupportedMedia
from service.house import House
from service.keys import KEYED
from service.openapi import problems
from service.rest import Clip
from service.routes.health import house_of
from service.session import Manner, Scored, Session, replay

router = APIRouter(prefix="/v1", tags=["clips"], dependencies=KEYED)


@router.post(
    "/clips",
    summary="Judge a clip",
    response_model=None,
    responses={
        200: {"model": Clip},
        **problems(
            UnknownModel("no model sings; choose from signing, signs"),
            TooLarge("the clip lasts 912.0 s, more than 600 s"),
            UnsupportedMedia("neither a video nor a landmark file"),
            InvalidRequest("the body is empty; send a landmark file or a video"),
            NoPerson("nobody is to be seen in any of the 90 frames"),
            TimeError("frame 3 is at 0.1 s, after one at 0.2 s"),
            FormatError("frame 0: pose must be a list of points or null"),
            NotReady("try again in a moment"),
            Busy("all 2 extractors look at other pictures"),
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
            },
        }
    },
)
async def post_clip(
    request: Request,
    models: Annotated[str | None, Query(description="which answer, by commas; else `default` of /v1/models")] = None,
    fps: Annotated[float, Query(gt=0, le=1000, description="for a landmark file that does not say")] = 30.0,
    aspect: Annotated[float, Query(ge=0.1, le=10, description="likewise: width / height")] = WEBCAM_ASPECT,
) -> Response:
    """A landmark file or a video, as raw body or multipart field `file`; told apart by content."""
    house = house_of(request)
    names = [name.strip() for name in models.split(",") if name.strip()] if models else None
    engines = house.engines(names or house.default_models)
    data = await _content(request)
    if looks_like_video(data):
        kind, sequence = "video", await _watch(house, data)
    elif (form := formats.sniff(data)) is not None:
        kind, sequence = form, await house.replay(formats.read, data, formats.Given(fps, aspect))
    else:
        known = ", ".join(form.NAME for form in formats.FORMATS)
        raise UnsupportedMedia(f"neither a video nor a landmark file ({known}); see docs/formats.md")
    if sequence.duration_s > house.settings.max_clip_s:
        raise TooLarge(f"the clip lasts {sequence.duration_s:.1f} s, more than {house.settings.max_clip_s:g} s")
    answer = await house.replay(_judge, house, engines, kind, sequence)
    house.metrics.clips.labels(kind).inc()
    return Response(answer, media_type="application/json")


async def _content(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        data = await request.body()
    else:
        async with request.form(max_files=1, max_fields=8) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise InvalidRequest("the form has no field `file` with a file in it")
            data = await file.read()
    if not data:
        raise InvalidRequest("the body is empty; send a landmark file or a video")
    return data


async def _watch(house: House, data: bytes) -> LandmarkSequence:
    with tempfile.TemporaryDirectory(prefix="signstream-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(data)
        async with house.extractor(house.settings.extractor_wait_s) as extractor:
            return await house.extract(extract_video, path, extractor, None, house.settings.max_clip_s)


def _judge(house: House, engines: list[Engine], kind: str, sequence: LandmarkSequence) -> str:
    session = Session(engines, sequence.aspect, Manner(sequence.layout, house.settings.max_gap_s))
    scored, events = replay(session, sequence)
    return answers.write(
        {
            "media": {
                "kind": kind,
                "frames": len(sequence),
                "duration_s": round(sequence.duration_s, 4),
                "fps": round(sequence.fps, 3),
                "aspect": round(sequence.aspect, 4),
                "frames_with_person": int(sequence.seen.any(axis=1).sum()),
            },
            "models": {engine.manifest.name: _answer(engine, scored, events) for engine in engines},
        }
    )


def _answer(engine: Engine, scored: list[Scored], events: list[Event]) -> dict[str, Any]:
    """In the order of time: a model of one hand has judged one after the other."""
    name = engine.manifest.name
    windows = sorted((one for one in scored if one.window.model == name), key=lambda one: one.window.at_s)
    segments = [event for event in events if event.model == name and event.state == "end"]
    return {
        "labels": engine.manifest.labels,
        "windows": [answers.window(one) for one in windows],
        "segments": [answers.segment(event) for event in sorted(segments, key=lambda event: event.start_s)],
    }
