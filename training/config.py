"""A recipe: everything a fit takes, as one TOML file; every key overridable on the command line."""

from __future__ import annotations

import copy
import dataclasses
import tomllib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from landmarks import find_layout
from models import NETWORKS, Continual
from training.augment import Augment
from training.losses import LossConfig
from training.objective import Signers, check
from training.optimise import Optimise
from training.tasks import find_task
from training.tasks.actions import ActionsConfig
from training.tasks.controls import ControlsConfig
from training.tasks.frames import FramesConfig
from training.tasks.gesture import GestureConfig
from training.tasks.signing import SigningConfig


class ConfigError(ValueError):
    """A recipe that is no recipe: an unknown key, a wrong type, an impossible value."""


@dataclass(frozen=True)
class Data:
    """folder: holds one folder a set. sets: names in training.datasets, of clips, or of streams where the task is
    about frames. clips: sets of single clips that such a task trains on too; nobody is tested on them."""

    sets: tuple[str, ...]
    clips: tuple[str, ...] = ()
    folder: str = "../shared/data"


@dataclass(frozen=True)
class Persons:
    """Who decides the thresholds, and who is tested; everybody else is trained on.

    refit: train once more on the validation persons too, for as long, once the thresholds stand.
    protocol: a published one instead (training.splits.OFFICIAL), with `share` of its train side for validation.
    folds: number of parts for cross-validation instead (training.splits.by_fold); the `fold`-th of them, from 1 on, is
        the test, the next one the validation. over: what is dealt to the parts, each whole.
    """

    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    refit: bool = True
    protocol: str = ""
    share: float = 0.1
    folds: int = 0
    fold: int = 1
    over: Literal["take", "person"] = "take"

    def __post_init__(self) -> None:
        if bool(self.protocol) + bool(self.validation and self.test) + bool(self.folds) != 1:
            raise ValueError("a split names its validation and test persons, or a protocol, or folds, and only one")
        if self.folds and not (self.folds >= 3 and 1 <= self.fold <= self.folds):
            raise ValueError(f"need 3 folds or more and a fold among them, got fold {self.fold} of {self.folds}")
        if not 0 < self.share < 1:
            raise ValueError(f"share lies between 0 and 1, got {self.share}")


@dataclass(frozen=True)
class Network:
    """name: in models.NETWORKS. layout: of its input. options: fields of its Config, but for labels and fps."""

    name: str = "stgcn"
    layout: str = "sign_27"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """Frames in a window, their rate, frames from one prediction to the next, and the moment that one speaks of
    (0 the oldest frame, 1 the newest)."""

    frames: int
    fps: float = 15.0
    stride: int = 3
    centre: float = 0.5


@dataclass(frozen=True)
class Fit(Optimise):
    """epochs of `windows` drawn windows each, and how each step is made (the fields of Optimise).

    threads: of torch.
    workers: processes, for each of `devices`, that draw windows while the network learns; 0 draws them between steps.
        However many, they draw the same.
    device: cpu, cuda or auto. devices: processes, one a device, started here or by torchrun. precision: of what is
        multiplied; bf16 and 16 keep the weights in 32 bits. compile: the network, by torch.compile.
    deterministic: torch refuses what cannot be repeated to the bit, and cuDNN does not try what is fastest.
    monitor: the figure of the validation persons (after every epoch) by which the best weights are kept, and after
        `patience` epochs without a better one the fit ends; none keeps the last weights, and 0 is no end.
    keep_every: epochs from one kept state to the next, beside the newest; 0 keeps none.
    """

    epochs: int = 20
    windows: int = 8000
    batch: int = 64
    threads: int = 2
    workers: int = 1
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    precision: Literal["32", "bf16", "16"] = "32"
    compile: bool = False
    deterministic: bool = False
    monitor: str = ""
    patience: int = 0
    keep_every: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.epochs, self.windows, self.batch, self.threads, self.devices) < 1:
            raise ValueError("epochs, windows, batch, threads and devices are at least 1")
        if min(self.patience, self.keep_every, self.workers) < 0:
            raise ValueError(
                "patience, keep_every and workers are at least 0, got "
                f"{self.patience}, {self.keep_every}, {self.workers}"
            )
        if self.patience and not self.monitor:
            raise ValueError("patience needs a figure to monitor")

    def same(self) -> dict[str, Any]:
        """What must not change between the parts of one fit, as plain values."""
        free = {"threads", "workers", "keep_every", "patience"}
        return {
            key: list(v) if isinstance(v, tuple) else v
            for key, v in dataclasses.asdict(self).items()
            if key not in free
        }


@dataclass(frozen=True)
class Events:
    """How probabilities become events; the threshold itself is measured on the validation persons.

    rule: `balanced` is where hit rate and rejection rate are highest together (of controls, all persons counting
        alike); `quiet` is the lowest that no more than `most_false` of the background windows with hands in view reach.
    lowest, highest: its limits.
    stop_share: stop_below as a share of it. rest_after_s: as in landmarks.Manifest; the rest as in landmarks.Decoding.
    """

    rule: Literal["balanced", "quiet"] = "quiet"
    most_false: float = 0.02
    lowest: float = 0.5
    highest: float = 0.95
    stop_share: float = 0.6
    min_duration_s: float = 0.2
    min_gap_s: float = 0.3
    smoothing_s: float = 0.0
    pad_s: float = 0.0
    rest_after_s: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in ("balanced", "quiet"):
            raise ValueError(f"rule is balanced or quiet, got {self.rule!r}")
        if not (0 < self.most_false < 1 and 0 <= self.lowest <= self.highest <= 1 and 0 < self.stop_share <= 1):
            raise ValueError("most_false and stop_share are shares, and lowest <= highest")


@dataclass(frozen=True)
class Card:
    """What the artefact says of itself: version, licence of the weights (SPDX), sources with their licences."""

    version: str = "0.1.0"
    licence: str = "Apache-2.0"
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """Everything a fit takes. The section named like the task says what the task needs."""

    name: str
    task: str
    data: Data
    split: Persons
    window: Shape
    network: Network = field(default_factory=Network)
    augment: Augment = field(default_factory=Augment)
    fit: Fit = field(default_factory=Fit)
    loss: LossConfig = field(default_factory=lambda: LossConfig(smoothing=0.05))
    signers: Signers = field(default_factory=Signers)
    events: Events = field(default_factory=Events)
    card: Card = field(default_factory=Card)
    signing: SigningConfig = field(default_factory=SigningConfig)
    gesture: GestureConfig | None = None
    actions: ActionsConfig | None = None
    frames: FramesConfig | None = None
    controls: ControlsConfig | None = None

    def __post_init__(self) -> None:
        task = find_task(self.task)
        find_layout(self.network.layout)
        if self.network.name not in NETWORKS:
            raise ConfigError(f"no network {self.network.name!r}; choose from {', '.join(sorted(NETWORKS))}")
        known = {f.name for f in dataclasses.fields(NETWORKS[self.network.name][0])} - {"labels", "fps"}
        if unknown := sorted(set(self.network.options) - known):
            raise ConfigError(f"unknown key network.options.{unknown[0]}; choose from {', '.join(sorted(known))}")
        check(self.network.name, self.signers)
        if not isinstance(getattr(self, self.task), task.config_type):
            raise ConfigError(f"the task {self.task} needs a section [{self.task}]")
        if self.data.clips and self.task != "frames":
            raise ConfigError(f"data.clips are for the task frames, not for {self.task}")
        for key in ("every", "lead"):
            asked = getattr(getattr(self, self.task), key, False)
            if asked and not issubclass(NETWORKS[self.network.name][1], Continual):
                raise ConfigError(f"{self.task}.{key} is for continual networks, {self.network.name} is none")
        if self.by_frame and self.signers.on:
            raise ConfigError(f"[signers] is for windows, not for {self.task}.every")

    @property
    def by_frame(self) -> bool:
        """Does the network learn from a label for every frame?"""
        return bool(getattr(getattr(self, self.task), "every", False))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint; `from_dict` reads it back."""
        return dataclasses.asdict(self)


def from_dict(raw: dict[str, Any], overrides: tuple[str, ...] = ()) -> Recipe:
    """A recipe from plain values, with "section.key=value" put over it; values are TOML, or else plain text.

    Raises ConfigError, which names the key.
    """
    return build(Recipe, put_over(raw, overrides))


def put_over(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values with "section.key=value" put over them. Raises ConfigError for what is not of this form."""
    raw = copy.deepcopy(raw)
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set takes section.key=value, got {override!r}")
        *sections, key = name.strip().split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{name}: {section} is no section")
        place[key] = _value(value.strip())
    return raw


def load(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """A recipe from a TOML file, with "section.key=value" put over it.

    Raises ConfigError, which names the key, for an unknown key, a wrong type or an impossible value.
    """
    return from_dict(read_toml(path, "recipe"), overrides)


def read_toml(path: Path, what: str = "file") -> dict[str, Any]:
    """A TOML file's tables. Raises ConfigError, in which the file is called `what`."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {what} {path}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build(kind: type[Any], raw: Any, where: str = "") -> Any:
    """A dataclass from plain values, its fields converted and checked by their types. Raises ConfigError.

    where: of its keys, in errors: "" or "section.".
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"{where or 'the recipe'} must be a table of keys, got {raw!r}")
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(raw) - set(hints)):
        raise ConfigError(f"unknown key {where}{unknown[0]}; choose from {', '.join(sorted(hints))}")
    values = {key: _convert(hints[key], value, f"{where}{key}") for key, value in raw.items()}
    try:
        return kind(**values)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where.rstrip('.') or 'the recipe'}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, f"{where}.")
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {key: _convert(typing.get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal and value in typing.get_args(hint):
        return value
    if hint is Any:
        return tuple(value) if isinstance(value, list) else value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise ConfigError(f"{where} must be {getattr(hint, '__name__', hint)}, got {value!r}")
