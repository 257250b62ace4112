"""Splits as JSON files, written and read as SCA-STGCN's builder does, and `python -m training split`.

A file is {"meta": ..., "splits": {"train" | "val" | "test": {"videos", "counts"}}, "per_video": ...}; only the videos
are read back.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training import datasets, labels, splits
from training.clip import Clip
from training.datasets import sca_stgcn
from training.splits import SHARES, SIDES, EmptySide, Split, cut, of_takes


class BadSplitFile(ValueError):
    """A JSON split file that is none, or that does not fit the clips."""


_NAMES = {"train": "train", "validation": "val", "test": "test"}


def to_file(split: Split, path: Path, **meta: Any) -> None:
    """Write a split as JSON: each side's takes as `videos`, with how many clips of each label."""
    meta |= {"apart": list(split.apart)}
    sides = {
        _NAMES[side]: {
            "videos": sorted({clip.take for clip in getattr(split, side)}),
            "counts": dict(sorted(Counter(clip.label for clip in getattr(split, side)).items())),
        }
        for side in SIDES
    }
    path.write_text(json.dumps({"meta": meta, "splits": sides}, indent=1) + "\n")


def from_file(path: Path, clips: Sequence[Clip]) -> Split:
    """A split that a JSON file names: our own, or SCA-STGCN's; clips that it does not name are left out.

    A video is a clip's take, or a take's last part: `sca-stgcn/VIDEO` is meant by `VIDEO`. Raises BadSplitFile where
    the file is no split, names what is not there, or what is there twice.
    """
    try:
        content = json.loads(path.read_text())
        named = {side: [str(name) for name in content["splits"][_NAMES[side]]["videos"]] for side in SIDES}
        apart = tuple(content.get("meta", {}).get("apart", ("take",)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSplitFile(f"{path} is no split file with splits.train, val and test: {error!r}") from error
    if not set(apart) <= {"person", "take", "view"}:
        raise BadSplitFile(f"{path}: meta.apart may name person, take and view, got {', '.join(map(str, apart))}")
    takes = {clip.take for clip in clips}
    ends: dict[str, set[str]] = defaultdict(set)
    for take in takes:
        ends[take.rsplit("/", 1)[-1]].add(take)
    sides: dict[str, list[str]] = {}
    for side, names in named.items():
        sides[side] = []
        for name in names:
            found = {name} if name in takes else ends.get(name, set())
            if len(found) != 1:
                raise BadSplitFile(f"{path} names {name}, of which there are {len(found)} takes")
            sides[side] += found
    return of_takes(clips, sides, apart, may_lack=tuple(side for side in SIDES if not named[side]))


def of_videos(
    videos: Sequence[sca_stgcn.Video],
    *,
    rule: str = "any",
    shares: Sequence[float] = SHARES,
    frames: int = sca_stgcn.FRAMES,
    stride: int = 1,
    signing: Sequence[str] = ("S",),
) -> dict[str, Any]:
    """SCA-STGCN's own split of frame-labelled videos, as its JSON.

    A window counts as signing by `rule`: any, where one of its labelled frames is; majority, where its label is. The
    videos with such a window and those without are each sorted by name and cut by shares; every side gets one that
    signs. Raises labels.EmptyClass where no frame is labelled so, and EmptySide for fewer than three videos that sign.
    """
    if rule not in ("any", "majority"):
        raise ValueError(f"rule is any or majority, got {rule!r}")
    labels.assign({"signing": tuple(signing), "other": (labels.REST,)}, [label for v in videos for label in v.labels])
    counted = {video.name: _count(video, rule, frames, stride, set(signing)) for video in videos}
    groups = {
        "signing": sorted(name for name, (signs, _) in counted.items() if signs),
        "other": sorted(name for name, (signs, _) in counted.items() if not signs),
    }
    wanted = [side for side, share in zip(SIDES, shares, strict=True) if share]
    if len(groups["signing"]) < len(wanted):
        raise EmptySide(f"{len(groups['signing'])} videos have a window of signing; {len(wanted)} sides need one each")
    sides = cut(groups, shares, seed=None)
    signs = {side: [name for name in sides[side] if counted[name][0]] for side in SIDES}
    for side in wanted:
        if not signs[side]:
            richest = max(SIDES, key=lambda other: len(signs[other]))
            moved = signs[richest].pop()
            sides[richest].remove(moved)
            sides[side].append(moved)
            signs[side].append(moved)
    return {
        "meta": {"rule": rule, "shares": list(shares), "window": frames, "stride": stride, "signing": list(signing)},
        "splits": {
            _NAMES[side]: {
                "videos": sorted(sides[side]),
                "counts": {
                    "S": sum(counted[name][0] for name in sides[side]),
                    "nonS": sum(counted[name][1] for name in sides[side]),
                },
            }
            for side in SIDES
        },
        "per_video": {
            video.name: {
                "frames": len(video.sequence),
                "windows": sum(counted[video.name]),
                "S_windows": counted[video.name][0],
                "nonS_windows": counted[video.name][1],
            }
            for video in videos
        },
    }


def _count(video: sca_stgcn.Video, rule: str, frames: int, stride: int, signing: set[str]) -> tuple[int, int]:
    """How many windows sign, and how many do not."""
    signs = total = 0
    for first, label in video.windows(frames, stride):
        inside = video.labels[slice(*np.searchsorted(video.frames, [first, first + frames]))]
        signs += bool(signing & set(inside)) if rule == "any" else label in signing
        total += 1
    return signs, total - signs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training split`."""
    ways = ("take", "person", "view", "signing", *sorted(splits.OFFICIAL))
    parser.add_argument("sets", nargs="+", metavar="SET", help=f"of {', '.join(sorted(datasets.DATASETS))}")
    parser.add_argument("--by", choices=ways, default="take", help="what decides (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="by take: of the draw")
    shares = {"type": float, "nargs": 3, "metavar": ("TRAIN", "VALIDATION", "TEST"), "default": SHARES}
    parser.add_argument("--shares", **shares, help="by take and signing (default: 0.8 0.1 0.1)")
    parser.add_argument("--validation", type=int, nargs="+", default=[], help="by person: persons")
    parser.add_argument("--test", type=int, nargs="+", default=[], help="by person: persons; by view: cameras")
    parser.add_argument("--validation-share", type=float, default=0.0, help="by view and protocols: of the train side")
    parser.add_argument("--rule", choices=("any", "majority"), default="any", help="signing: when a window signs")
    parser.add_argument(
        "--signing", nargs="+", default=["S"], metavar="LABEL", help="signing: labels, as they are spelt"
    )
    parser.add_argument("--frames", type=int, default=sca_stgcn.FRAMES, help="signing: of a window")
    parser.add_argument("--stride", type=int, default=1, help="signing: from window to window")


def run(options: argparse.Namespace, report: Callable[[str], object]) -> int:
    """Write the split file and say what stands on each side."""
    if options.by == "signing":
        content = of_videos(
            sca_stgcn.videos(options.data),
            rule=options.rule,
            shares=options.shares,
            frames=options.frames,
            stride=options.stride,
            signing=options.signing,
        )
        options.out.write_text(json.dumps(content, indent=1) + "\n")
    else:
        to_file(_split(options), options.out, by=options.by, sets=options.sets, seed=options.seed)
    for side, of in json.loads(options.out.read_text())["splits"].items():
        report(f"{side}: {len(of['videos'])} videos, {sum(of['counts'].values())} clips")
    report(f"written: {options.out}")
    return 0


def _split(options: argparse.Namespace) -> Split:
    clips = datasets.load(options.data, tuple(options.sets))
    if options.by == "take":
        return splits.by_take(clips, options.shares, options.seed)
    if options.by == "person":
        return splits.by_person(clips, validation=options.validation, test=options.test)
    if options.by == "view":
        others = sorted({clip.view for clip in clips if clip.view is not None} - set(options.test))
        return splits.by_view(clips, train=others, test=options.test, validation=options.validation_share)
    return splits.official(options.by, clips, options.validation_share)
