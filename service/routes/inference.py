"""What the models are, as the Open Inference Protocol asks for it (KServe v2, REST): health and metadata."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from landmarks.manifest import Manifest
from service.errors import NotReady, UnknownModel
from service.openapi import problems
from service.routes.health import house_of

router = APIRouter(prefix="/v2", tags=["inference protocol"])

PLATFORM = "onnxruntime_onnx"

_WARMING = problems(NotReady("try again in a moment"))
_UNKNOWN = problems(UnknownModel("no model sings; choose from signing, signs"), NotReady("try again in a moment"))


class ServerLive(TypedDict):
    """Whether the service hears."""

    live: bool


class ServerReady(TypedDict):
    """Whether every model answers."""

    ready: bool


class ModelReady(TypedDict):
    """Whether one model answers."""

    name: str
    ready: bool


class ServerMetadata(TypedDict):
    """What the server says of itself."""

    name: str
    version: str
    extensions: list[str]


class Tensor(TypedDict):
    """An input or an output of a network; -1 is an axis of any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """What a network takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


@router.get("", response_model=None, responses={200: {"model": ServerMetadata}}, summary="The server")
async def server_metadata(request: Request) -> ServerMetadata:
    """Name and version of the server.

    There is no `infer`: a network takes windows or states that only a session keeps. Post a clip, or open a stream.
    """
    return {"name": request.app.title, "version": request.app.version, "extensions": []}


@router.get("/health/live", response_model=None, responses={200: {"model": ServerLive}}, summary="Does it live?")
async def server_live() -> ServerLive:
    """200 while the process runs."""
    return {"live": True}


@router.get(
    "/health/ready",
    response_model=None,
    responses={200: {"model": ServerReady}, 503: {"model": ServerReady}},
    summary="Is it ready?",
)
async def server_ready(request: Request, response: Response) -> ServerReady:
    """200 once every model is warm, 503 before."""
    ready = house_of(request).ready
    response.status_code = 200 if ready else 503
    return {"ready": ready}


@router.get(
    "/models/{name}", response_model=None, responses={200: {"model": ModelMetadata}} | _UNKNOWN, summary="A model"
)
async def model_metadata(request: Request, name: str) -> ModelMetadata:
    """Inputs and outputs of a model's graph."""
    return _told(_manifest(request, name))


@router.get(
    "/models/{name}/versions/{version}",
    response_model=None,
    responses={200: {"model": ModelMetadata}} | _UNKNOWN,
    summary="A version of a model",
)
async def model_version_metadata(request: Request, name: str, version: str) -> ModelMetadata:
    """The same of one version; each model is there in one."""
    return _told(_manifest(request, name, version))


@router.get(
    "/models/{name}/ready",
    response_model=None,
    responses={200: {"model": ModelReady}} | _UNKNOWN,
    summary="Is a model ready?",
)
async def model_ready(request: Request, name: str) -> ModelReady:
    """200 once it is warm."""
    return {"name": _manifest(request, name).name, "ready": True}


@router.get(
    "/models/{name}/versions/{version}/ready",
    response_model=None,
    responses={200: {"model": ModelReady}} | _UNKNOWN,
    summary="Is a version of a model ready?",
)
async def model_version_ready(request: Request, name: str, version: str) -> ModelReady:
    """The same of one version."""
    return {"name": _manifest(request, name, version).name, "ready": True}


def _manifest(request: Request, name: str, version: str | None = None) -> Manifest:
    (manifest,) = house_of(request).manifests([name])
    if version not in (None, manifest.version):
        raise UnknownModel(f"{name} is here in version {manifest.version} only, not in {version}")
    return manifest


def _told(manifest: Manifest) -> ModelMetadata:
    first = "landmarks" if manifest.form == "window" else "frame"
    inputs: dict[str, tuple[int, ...]] = {first: manifest.input_shape}
    outputs: dict[str, tuple[int, ...]] = {"probabilities": (len(manifest.labels),)}
    for i, shape in enumerate(manifest.states):
        inputs[f"state_{i}"] = outputs[f"next_{i}"] = shape
    return {
        "name": manifest.name,
        "versions": [manifest.version],
        "platform": PLATFORM,
        "inputs": _tensors(inputs),
        "outputs": _tensors(outputs),
    }


def _tensors(shapes: dict[str, tuple[int, ...]]) -> list[Tensor]:
    """Each with its first axis, over the rows of a run."""
    return [{"name": name, "datatype": "FP32", "shape": [-1, *shape]} for name, shape in shapes.items()]
