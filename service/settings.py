"""Every setting, with its unit and default; from the environment as SIGNSTREAM_<NAME>, HOST and PORT without prefix."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "SIGNSTREAM_"
_ROOT = Path(__file__).resolve().parent.parent


def _address(*schemes: str) -> Callable[[SecretStr], SecretStr]:
    def check(given: SecretStr) -> SecretStr:
        url = urlsplit(given.get_secret_value())
        if url.scheme not in schemes or not (url.hostname or url.scheme == "unix"):
            raise ValueError(f"an address begins with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host")
        _ = url.port  # raises ValueError for one that is no number
        return given

    return check


# Addresses may hold passwords, so they are secrets: never shown, never logged. An empty one is none.
_None = BeforeValidator(lambda given: given or None)
WebhookUrl = Annotated[Annotated[SecretStr, AfterValidator(_address("https", "http"))] | None, _None]
MqttUrl = Annotated[Annotated[SecretStr, AfterValidator(_address("mqtt", "mqtts"))] | None, _None]
RedisUrl = Annotated[Annotated[SecretStr, AfterValidator(_address("redis", "rediss", "unix"))] | None, _None]


class Settings(BaseSettings):
    """Frozen; an impossible value is refused at start, an unknown keyword too."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )

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
    spot_s: float = Field(default=0.005, ge=0, le=0.1)
    """What is sure to be run within this is run at once where it was heard, as a thread of its own would cost more; 0
    leaves everything to threads."""
    gather_s: float = Field(default=0.004, ge=0, le=0.1)
    """Least time from run to run of a model whose rows cost less together, where many streams come at once; 0 runs
    each as it comes."""
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
    max_kept_events: int = Field(default=256, ge=1)
    """Event messages of a session that are kept for who was cut off, or begins to watch."""
    api_keys: Annotated[SecretStr | None, _None] = None
    """Keys that callers must show one of, by commas; none lets everybody in."""
    token_s: float = Field(default=60.0, gt=0)
    """How long a socket may be opened with the token of `POST /v1/sessions`."""
    resume_s: float = Field(default=60.0, gt=0)
    """How long a resumable session waits for its caller after the line is lost."""
    idle_s: float = Field(default=0.0, ge=0)
    """A session from which nothing is heard for so long is ended; 0 is never."""
    lag_s: float = Field(default=0.5, gt=0)
    """A caller is told once a frame of theirs has waited so long."""
    slow_s: float = Field(default=1.0, gt=0)
    """A caller that lets a message wait so long before it reads on is warned."""
    slow_close_s: float = Field(default=10.0, gt=0)
    """One that reads nothing for so long is closed with 1013."""
    drain_s: float = Field(default=10.0, gt=0)
    """How long sessions are given to end once the service is told to stop."""
    retry_after_s: float = Field(default=2.0, ge=0)
    """When callers are told to come back then."""
    max_people: int = Field(default=4, ge=1, le=16)
    """Most people of a stream that are told apart; of more, those who came first are followed."""
    forget_s: float = Field(default=1.5, ge=0, le=60)
    """Who was not seen for longer is somebody new when seen again."""
    max_problems: int = Field(default=100, ge=1)
    """Bad messages after which a stream is closed with 1008."""
    max_gap_s: float = Field(default=0.5, gt=0)
    """Longest gap between frames that is interpolated; after a longer one a stream's window starts afresh."""

    outlet_backlog: int = Field(default=1000, ge=1)
    """Most events that wait for the webhook's receiver or for the MQTT broker; then the oldest is dropped, counted."""
    webhook_url: WebhookUrl = None
    """Where events are posted to; none by default."""
    webhook_secret: Annotated[SecretStr | None, _None] = None
    """What they are signed with: `whsec_` and 24 to 64 random bytes in base64; several, by spaces, all sign."""
    webhook_updates: bool = False
    """Post `update` events too, not only `start` and `end`."""
    webhook_retries: int = Field(default=8, ge=0, le=100)
    """How often an event is posted again, with waits of at most 1, 2, 4 ... 60 s, half of that on average."""
    webhook_timeout_s: float = Field(default=15.0, gt=0, le=300)
    """How long the receiver may take to answer."""
    mqtt_url: MqttUrl = None
    """Broker that events are published to, `mqtt[s]://[user:password@]host[:port]`; none by default."""
    mqtt_topic: str = "signstream/{session}/{model}"
    """Topic of an event; {session} and {model} are filled in."""
    mqtt_status_topic: str = "signstream/status"
    """Topic where the broker keeps whether the service is `online` or `offline`; one for each instance."""
    mqtt_updates: bool = False
    """Publish `update` events too, not only `start` and `end`."""
    redis_url: RedisUrl = Field(
        default=None, validation_alias=AliasChoices("redis_url", "REDIS_URL", "SIGNSTREAM_REDIS_URL")
    )
    """Where sessions are kept so that another instance can go on with them, `redis[s]://[user:password@]host[:port]/[db]`
    or `unix://`; none by default: REDIS_URL, the prefix is optional."""
    redis_timeout_s: float = Field(default=1.0, gt=0, le=60)
    """How long a call to Redis may take."""

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if self.require_cuda and self.device == "cpu":
            raise ValueError("require_cuda is set, but device is cpu")
        keys = self.webhook_keys
        if self.webhook_url is not None and not keys:
            raise ValueError("webhook_url takes a webhook_secret: `whsec_` and what `openssl rand -base64 32` prints")
        for topic in (self.mqtt_topic, self.mqtt_status_topic):
            filled = topic.replace("{session}", "").replace("{model}", "")
            if not topic or set(filled) & set("{}+#\0"):
                raise ValueError(f"a topic holds no wildcards, and only {{session}} and {{model}} in braces: {topic!r}")
        return self

    @property
    def webhook_keys(self) -> list[bytes]:
        """What is signed with (Standard Webhooks 1.0.0, signature scheme). Raises ValueError for what is no secret."""
        given = "" if self.webhook_secret is None else self.webhook_secret.get_secret_value()
        try:
            keys = [base64.b64decode(secret.removeprefix("whsec_"), validate=True) for secret in given.split()]
        except binascii.Error as error:
            raise ValueError(f"webhook_secret is not in base64: {error}") from None
        if wrong := [len(key) for key in keys if not 24 <= len(key) <= 64]:
            raise ValueError(f"webhook_secret takes 24 to 64 bytes, got {wrong[0]}")
        return keys

    @property
    def keys(self) -> list[str]:
        """Those that callers may show; none lets everybody in."""
        given = "" if self.api_keys is None else self.api_keys.get_secret_value()
        return [key for key in (one.strip() for one in given.split(",")) if key]

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
