"""Every setting, with its unit and default; from the environment as SIGNSTREAM_<NAME>, HOST and PORT without prefix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "SIGNSTREAM_"
_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Frozen; an impossible value is refused at start, an unknown keyword too."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    host: str = Field(default="127.0.0.1", validation_alias=AliasChoices("host", "HOST"))
    """Address to listen on: HOST, without the prefix."""
    port: int = Field(default=8000, ge=0, le=65535, validation_alias=AliasChoices("port", "PORT"))
    """Port to listen on, 0 for any free one: PORT, without the prefix."""
    models_dir: Path = _ROOT / "models" / "pretrained"
    """Folder whose *.onnx files are served."""
    default_models: str = "signing,signs"
    """Which of them answer where a request names none, by commas; all where none of these is served."""
    page_dir: Path = _ROOT / "client" / "web"
    """Folder of the page at `/`; left out when it does not exist."""
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    """Where networks run: `auto` is CUDA where a device is there; `cuda` and `tensorrt` refuse to start without one."""
    require_cuda: bool = Field(
        default=False, validation_alias=AliasChoices("require_cuda", "REQUIRE_CUDA", "SIGNSTREAM_REQUIRE_CUDA")
    )
    """Refuse to start unless every model runs on CUDA, whatever `device` says: REQUIRE_CUDA, the prefix is optional."""
    cuda_graphs: bool = False
    """Replay each batch size as a CUDA graph; a model with a node that CUDA lacks then cannot be loaded."""
    tensorrt_cache: Path | None = None
    """Folder where TensorRT keeps the engines that it builds; without one it builds them at every start."""
    threads: int = Field(default=1, ge=1, le=64)
    """CPU threads that one run of a network may use."""
    max_batch: int = Field(default=16, ge=1, le=1024)
    """Most windows or steps that a model is given at a time."""
    batch_wait_s: float = Field(default=0.0, ge=0, le=1)
    """Longest that a window or a step waits for others to fill its batch; 0 runs what there is."""
    spot_s: float = Field(default=0.0005, ge=0, le=0.1)
    """What is sure to be run within this is run at once where it was heard, as a thread of its own would cost more; 0
    leaves everything to threads."""
    deadline_s: float = Field(default=1.0, gt=0)
    """A window or a step that has waited longer is dropped, counted, and its stream told so."""
    max_pending_windows: int = Field(default=1024, ge=1)
    """Most windows and steps of all streams that wait for one model; streams that push more have to wait."""
    extractors: int = Field(default=2, ge=1, le=64)
    """How many picture streams and videos are looked at at the same time."""
    extraction: Literal["auto", "mediapipe", "onnx"] = "auto"
    """What finds landmarks: MediaPipe's own graph on the CPU, or its networks in onnxruntime, on `device` (`auto`)."""
    extractor_wait_s: float = Field(default=30.0, ge=0)
    """How long a posted video waits for a free one; a stream's first picture does not wait."""
    max_streams: int = Field(default=256, ge=1)
    """Most sockets at the same time; one more is closed with 1013."""
    max_upload_bytes: int = Field(default=64 * 2**20, ge=1)
    """Largest body of a POST."""
    replays: int = Field(default=2, ge=1, le=64)
    """Posted clips that are judged at the same time; others wait."""
    max_clip_s: float = Field(default=600.0, gt=0)
    """Longest clip of a POST, in seconds of its own time."""
    max_message_bytes: int = Field(default=2 * 2**20, ge=1024)
    """Largest message on a socket; a larger one closes it with 1009."""
    max_picture_pixels: int = Field(default=16_000_000, ge=1)
    """Largest picture, width times height."""
    max_fps: float = Field(default=240.0, gt=0, le=1000)
    """Most frames per second of a stream's own time; denser ones are dropped, and said so."""
    max_pending_frames: int = Field(default=256, ge=1)
    """Most landmark frames of a stream that wait; then its socket is not read on until there is room."""
    max_pending_pictures: int = Field(default=2, ge=1)
    """Most pictures of a stream that wait; then the oldest is dropped, and said so."""
    max_problems: int = Field(default=100, ge=1)
    """Bad messages after which a stream is closed with 1008."""
    max_gap_s: float = Field(default=0.5, gt=0)
    """Longest gap between frames that is interpolated; after a longer one a stream's window starts afresh."""

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if self.require_cuda and self.device == "cpu":
            raise ValueError("require_cuda is set, but device is cpu")
        return self

    @property
    def cuda_asked_by(self) -> str | None:
        """The setting that does not let the service start without CUDA, in words; None where it may."""
        if self.require_cuda:
            return "REQUIRE_CUDA is set"
        return f"device is {self.device}" if self.device in ("cuda", "tensorrt") else None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none: misspelt ones, or what Kubernetes adds for a service's name."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | {_PREFIX + "URL"}  # the client's
    return sorted(name for name in environment if name.startswith(_PREFIX) and name not in known)
