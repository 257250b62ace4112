"""Every shipped model before people whom it was not trained on, through the real server at real-time pace."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import figures, material, realtime
from bench.figures import Figures
from bench.files import milliseconds
from bench.material import CLIPS, Material, Question
from bench.realtime import Ask, Replayed
from bench.sections import Heard, Subject, section, told, with_baselines
from bench.server import serving
from bench.studies import CONFIGS
from bench.table import check_place, markdown, verdict, write
from landmarks import Manifest
from service.engine import OnnxEngine, Runtime
from service.settings import Settings
from training import config
from training.clip import Clip
from training.config import ConfigError, Recipe
from training.evaluate import make_split, make_task
from training.tasks import Actions

TARGETS = {
    "signing": (
        ("PR-AUC where a hand is visible", "pr_auc", 0.97, 1),
        ("false events an hour of not signing", "false_per_hour", 6, -1),
        ("median time to detect, s", "delay_s", 0.3, -1),
        ("sign clips with an event", "clips_hit", 1.0, 1),
        ("events on clips without a sign", "clips_false", 0, -1),
    ),
    "signs": (("accuracy over its words", "accuracy_named", 0.96, 1),),
    "hand-shapes": (("macro recall on unseen recorders", "recall_macro", 0.9, 1),),
    "hand-motions": (("macro recall on unseen recorders", "recall_macro", 0.9, 1),),
}
"""Model -> what is asked of it: in words, a figure, its bound, and 1 where it is the least or -1 where the most."""
PLACE = "scorecard"
LATE_MS = 100.0
"""From here on frames are not sent at their pace."""
JOINED_S, BACKGROUND_S = 1500.0, 1800.0
"""Of a model's streams of each kind, at most."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, on what, how fast."""
    parser.add_argument("--models", type=Path, default=Settings().models_dir, help="folder; default: the shipped ones")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of these models")
    parser.add_argument(
        "--beside", nargs="+", default=[], type=Path, metavar="FILE.onnx", help="asked the same as those of its labels"
    )
    parser.add_argument("--recipes", type=Path, default=CONFIGS, help="NAME.toml of each; default: training/configs")
    parser.add_argument("--folder", default="../shared/data", help="of the data; default: %(default)s")
    parser.add_argument(
        "--clips", type=Path, help="of the videos, or of landmarks extracted from them; default: FOLDER/clips"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="times real time; default: %(default)s")
    parser.add_argument("--sessions", type=int, default=24, help="streams at once; default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=4000, help="of takes alone a model, at most; default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="a small sample, to see that it works")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put it into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the scorecard; 1 where a target is missed, 2 for what cannot be asked."""
    try:
        if options.write:
            check_place(options.write, PLACE)
        text, missed = scorecard(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.write:
        write(options.write, PLACE, _command(options), text)
    return int(missed)


def _command(options: argparse.Namespace) -> str:
    """As it was asked: what was left at its default is left out."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    words = ["python -m bench scorecard"]
    for name, value in vars(parser.parse_args([])).items():
        asked = getattr(options, name)
        if asked == value or name in ("write", "clips"):  # where landmarks lie changes no figure
            continue
        words.append(f"--{name}")
        words += [] if asked is True else map(str, asked) if isinstance(asked, list) else [str(asked)]
    return " ".join(words)


def scorecard(options: argparse.Namespace) -> tuple[str, bool]:
    """Markdown, and whether a target is missed."""
    subjects = find_subjects(options)
    _tell("finding the landmarks of the clips")
    seen = material.videos(options.clips or Path(options.folder) / CLIPS, 5 if options.quick else 1)
    subjects = [replace(one, asked={**one.asked, CLIPS: seen}) for one in subjects]
    asks = [
        Ask(one, tuple(subject.files)) for subject in subjects for streams in subject.asked.values() for one in streams
    ]
    lasts = sum(ask.material.sequence.duration_s for ask in asks)
    minutes = lasts / 60 / options.sessions / options.pace
    _tell(f"{len(asks)} streams, {options.sessions} at once: {minutes:.0f} minutes")
    with _together(options) as folder, serving(folder) as url:
        before = realtime.busy()
        replayed = realtime.replay(url, asks, options.sessions, options.pace)
        busy = _share(before, realtime.busy())
    found = iter(replayed)
    heard = [
        Heard(
            subject,
            {kind: [next(found) for _ in streams] for kind, streams in subject.asked.items()},
            draws=20 if options.quick else figures.DRAWS,
        )
        for subject in subjects
    ]
    parts, targets = [_about(replayed, busy, options)], []
    for one in heard:
        _tell(f"figures of {one.subject.name}")
        text, reached = section(with_baselines(one), options.quick)
        parts.append(text)
        targets += _targets(one.subject.name, reached)
    parts += [_speed(options, replayed), _told(targets)]
    return "\n\n".join(parts), any(row[-1] == "no" for row in targets)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _together(options: argparse.Namespace) -> _Staged:
    files = [*sorted(options.models.glob("*.onnx")), *options.beside]
    return _Staged([*dict.fromkeys(file.resolve() for file in files)])  # what stands beside may be one of the models


class _Staged(tempfile.TemporaryDirectory):
    """A folder with links to files from several."""

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__()
        self._files = files

    def __enter__(self) -> Path:
        folder = Path(super().__enter__())
        for i, file in enumerate(self._files):
            (folder / f"{i}.onnx").symlink_to(file)
        return folder


def _manifest(path: Path) -> Manifest:
    return OnnxEngine(path, Runtime(streams=1)).manifest


def find_subjects(options: argparse.Namespace) -> list[Subject]:
    """The models that have a recipe, which says whom they were not trained on."""
    others = {path: _manifest(path) for path in options.beside}
    found = []
    for path in sorted(options.models.glob("*.onnx")):
        manifest = _manifest(path)
        if options.only and manifest.name not in options.only:
            continue
        recipe = config.load(options.recipes / f"{manifest.name}.toml", (f"data.folder={options.folder}",))
        task = make_task(recipe)
        if isinstance(task, Actions):
            raise ConfigError(f"{path}: what a clip shows as a whole does not come and go in a stream")
        if task.labels != manifest.labels:
            raise ConfigError(f"{path} says {manifest.labels}, its recipe {task.labels}")
        split = make_split(recipe, task)
        files = {manifest.name: path}
        for file, other in others.items():
            if other.labels == manifest.labels:
                _check_unseen(other.name, recipe, options)
                files[other.name] = file
        takes = material.counted(split.test, task)
        found.append(Subject(manifest, recipe, task, split, files, takes, _asked(takes, task, options)))
    if not found:
        raise ConfigError(f"no model of {options.only or 'any name'} in {options.models}")
    return found


def _check_unseen(name: str, recipe: Recipe, options: argparse.Namespace) -> None:
    """Raises ConfigError where another model's recipe trains on persons whom this recipe tests."""
    path = options.recipes / f"{name}.toml"
    if path.is_file():
        other = config.load(path)
        unseen = set(recipe.split.test) <= set(other.split.test) if recipe.split.test else other.split == recipe.split
        if not unseen:
            raise ConfigError(f"{path} does not keep the test persons of {recipe.name}.toml: it may have seen them")


def _asked(takes: list[Clip], task: Question, options: argparse.Namespace) -> dict[str, list[Material]]:
    """Kind -> streams; without the videos, which are the same for all."""
    joined = material.joined(takes, task, 60.0 if options.quick else JOINED_S)
    background = material.background(takes, task, 60.0 if options.quick else BACKGROUND_S)
    alone = material.alone(material.within(takes, 60.0 if options.quick else options.seconds))
    return {"alone": alone, "joined": joined, "background": background}


def _about(replayed: Sequence[Replayed], busy: float, options: argparse.Namespace) -> str:
    late_ms = np.concatenate([one.late_s for one in replayed]) * 1e3
    median, slow = np.percentile(late_ms, [50, 99])
    lost = sum(one.lost for one in replayed)
    lasts = sum(one.material.sequence.duration_s for one in replayed)
    text = (
        f"{len(replayed)} streams, {lasts / 3600:.2f} hours, over the WebSocket of a server on this machine "
        f"({os.cpu_count()} cores), up to {options.sessions} at once at {options.pace:g} times real time. The cores "
        f"were busy {busy:.0%} of the time, with the client and all else here; a frame was sent {median:.1f} ms after "
        f"its moment in the median, {slow:.1f} ms at p99; {lost} frames or predictions were dropped."
    )
    if slow <= LATE_MS:
        return text
    return (
        f"{text}\n\n**The machine was overloaded: `told after`, and frame to reply, say more of it than of a model.**"
    )


def _share(before: tuple[float, float], after: tuple[float, float]) -> float:
    whole = after[1] - before[1]
    return (after[0] - before[0]) / whole if whole else np.nan


def _speed(options: argparse.Namespace, replayed: Sequence[Replayed]) -> str:
    files = {_manifest(path).name: path for path in (*sorted(options.models.glob("*.onnx")), *options.beside)}
    engines = [OnnxEngine(path, Runtime(streams=1)) for path in files.values()]
    rows = []
    for (name, path), engine, ms in zip(files.items(), engines, milliseconds(engines), strict=True):
        waits = [
            np.array(answer.waits_s) * 1e3 for one in replayed if (answer := one.answers.get(name)) and answer.waits_s
        ]
        if not waits:
            continue
        found = figures.percentiles(waits)
        about = (engine.manifest.form, engine.manifest.precision, f"{path.stat().st_size / 1024:.0f}", f"{ms:.3f}")
        rows.append((name, *about, sum(map(len, waits)), told(found["p50"], 1), told(found["p99"], 1)))
    header = ("", "form", "precision", "KiB", "ms alone", "replies", "frame to reply, ms: p50", "p99")
    return (
        "## Speed and size\n\n`ms alone`: a window or a step on one thread with nothing else to do. Frame to reply: "
        "from sending the frame that completes a prediction to having it in the client, at the load above; intervals "
        f"over streams.\n\n{markdown(header, rows)}"
    )


def _targets(name: str, reached: Figures) -> list[tuple[str, ...]]:
    rows = []
    for words, key, bound, sign in TARGETS.get(name, ()):
        value = reached.get(key, (np.nan, np.nan, np.nan))
        asked = f"{'at least' if sign > 0 else 'at most'} {bound:g}"
        rows.append((name, words, told(value), asked, verdict(sign * value[0], sign * bound)))
    return rows


def _told(rows: Sequence[tuple[str, ...]]) -> str:
    return f"## Targets\n\n{markdown(('model', 'figure', 'reached', 'asked', ''), rows)}"
