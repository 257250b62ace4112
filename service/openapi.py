"""The contract of REST, OpenAPI 3.1: FastAPI's own, made whole."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from service.answers import ProblemDetails
from service.errors import InvalidRequest, SignstreamError, TooLarge, Unauthorised, problem_of
from service.examples import BODIES, REST
from service.rest import Posted, SessionEvent
from service.schemas import inherit_words, untitled

_TEXT = """
Every error is an RFC 9457 problem, `application/problem+json`; its `code` is stable: program against it.

Live sessions speak over a socket, whose contract is `/asyncapi.json`. Keys are asked for where the service has any.
"""

Responses = dict[int | str, dict[str, Any]]

TAGS = [
    {"name": "clips", "description": "A whole recording at once."},
    {"name": "sessions", "description": "Live sessions, from beside their socket (see /asyncapi.json)."},
    {"name": "models", "description": "What answers."},
    {"name": "health", "description": "For whoever keeps the service running."},
    {
        "name": "inference protocol",
        "description": "Health and metadata as the Open Inference Protocol (KServe v2) asks for them. There is no "
        "`infer`: a network takes windows and states that only a session keeps. Post a clip, or open a stream.",
    },
    {"name": "webhook", "description": "What the service posts to `SIGNSTREAM_WEBHOOK_URL`, where that is set."},
]


def operation_id(route: APIRoute) -> str:
    """Its function's name."""
    return route.name


webhooks = APIRouter(tags=["webhook"], generate_unique_id_function=operation_id)


@webhooks.post("event", summary="Be told of an event")
async def told_of_event(
    body: Posted,
    webhook_id: Annotated[str, Header(description="the same at each try: who has seen it has the event")],
    webhook_timestamp: Annotated[int, Header(description="when this try was made, in Unix seconds")],
    webhook_signature: Annotated[
        str,
        Header(
            description="`v1,` and HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64; several, by spaces, while a secret is "
            "changed"
        ),
    ],
) -> None:
    """Of all sessions; at least once each, and of one session in order of their numbers."""


_ANSWERS = {
    "2XX": "Taken.",
    "410": "Nothing is sent any more until the service is started again.",
    "429": "Tried again, not before `Retry-After` where it is said.",
    "5XX": "Tried again, likewise; so is what is not answered in time.",
    "default": "That event is lost.",
}
"""What a webhook's receiver may answer, and what follows."""


def problems(*examples: Exception) -> Responses:
    """The `responses` of a route that may raise errors like these."""
    by_status: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for error in examples:
        told = problem_of(error)
        assert told is not None, f"callers never see {error!r}"
        by_status[told.status][told.code] = {"summary": told.title, "value": told.body()}
    return {
        status: {
            "description": "; ".join(example["summary"] for example in told.values()),
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                    "examples": told,
                }
            },
        }
        for status, told in by_status.items()
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The contract, as /openapi.json answers it."""
    told = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_TEXT.strip(),
        routes=app.routes,
        webhooks=webhooks.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    parts = told["components"]
    parts["schemas"] |= {"ProblemDetails": TypeAdapter(ProblemDetails).json_schema()}
    for fastapis in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(fastapis, None)
    inherit_words(SessionEvent, parts["schemas"]["SessionEvent"])
    parts["schemas"] = untitled(dict(sorted(parts["schemas"].items())))
    for path in told["paths"].values():
        for operation in path.values():
            _complete(operation, parts["schemas"])
    hook = told["webhooks"]["event"]["post"]
    hook["responses"] = {status: {"description": follows} for status, follows in _ANSWERS.items()}
    hook["requestBody"]["content"]["application/json"]["example"] = BODIES["told_of_event"]
    for parameter in hook["parameters"]:
        parameter["schema"] = untitled(parameter["schema"])
    return told


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """What every call may be answered, and what FastAPI says in its own words."""
    answers = operation["responses"]
    for answer in answers.values():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if told := schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("description"):
            answer["description"] = told
        elif answer["description"] == "Successful Response":  # FastAPI's words where nobody says more
            answer["description"] = "All is well."
    if operation["operationId"] in REST:  # only now: FastAPI would leave out what is null in it
        success = next(answer for status, answer in answers.items() if status[0] == "2")
        success["content"]["application/json"]["example"] = REST[operation["operationId"]]
    if answers.get("422", {}).get("content", {}).keys() == {"application/json"}:
        del answers["422"]
        if "requestBody" in operation or any(given["in"] != "path" for given in operation["parameters"]):
            answers |= _REFUSED  # in a path any text is good
    if "requestBody" in operation:
        answers = _TOO_LARGE | answers
        if operation["operationId"] in BODIES:
            operation["requestBody"]["content"]["application/json"]["example"] = BODIES[operation["operationId"]]
    if "security" in operation:
        answers |= _UNAUTHORISED
        operation["security"].insert(0, {})
    operation["responses"] = dict(sorted((answers | _FAILED).items()))
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = untitled(parameter["schema"])


def _by_text(examples: Responses) -> dict[str, Any]:
    return {str(status): answer for status, answer in examples.items()}


_REFUSED = _by_text(problems(InvalidRequest("query.fps: Input should be greater than 0")))
_TOO_LARGE = _by_text(problems(TooLarge("the body has 70000000 bytes, more than 67108864")))
_UNAUTHORISED = _by_text(problems(Unauthorised("send one of the service's keys as `Authorization: Bearer KEY`")))
_FAILED = _by_text(problems(SignstreamError("the failure is in the service's log")))
