"""`python -m training prepare VIDEOS... --out FOLDER`: landmarks of many videos, begun again where it was left.

Each video's landmarks become one npz in FOLDER, written whole or not at all; what is there already is skipped, and a
video that fails is reported while the others go on.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from landmarks import LandmarkSequence
from landmarks.extract import BACKENDS, Backend, extract_videos, looks_like_video
from landmarks.formats import npz

Found = tuple[Path, LandmarkSequence | Exception]


@dataclass(frozen=True)
class Prepared:
    """What was done. written, skipped: landmark files. failed: video -> what was wrong with it."""

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: dict[Path, Exception]


def planned(videos: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Video -> its landmark file; a folder stands for the videos in it, whose paths are kept below `out`.

    Raises FileNotFoundError for what is not there, and ValueError for no video at all or two with one landmark file.
    """
    plan: dict[Path, Path] = {}
    for given in videos:
        if given.is_dir():
            inside = sorted(path for path in given.rglob("*") if path.is_file() and _is_video(path))
            plan |= {path: out / path.relative_to(given).parent / f"{path.name}.npz" for path in inside}
        elif given.is_file():
            plan[given] = out / f"{given.name}.npz"
        else:
            raise FileNotFoundError(f"there is no video or folder {given}")
    if not plan:
        raise ValueError("there is no video in what was given")
    by_target: dict[Path, Path] = {}
    for video, target in plan.items():
        if (other := by_target.setdefault(target, video)) != video:
            raise ValueError(f"{other} and {video} would both become {target}; prepare them into two folders")
    return plan


def _is_video(path: Path) -> bool:
    with path.open("rb") as file:
        return looks_like_video(file.read(32))


def prepare(
    videos: Iterable[Path], out: Path, processes: int = 1, progress: bool = False, backend: Backend = "auto"
) -> Prepared:
    """Extract the landmarks of all videos that have none in `out` yet; see the module. Raises as `planned`.

    backend: what finds them, see landmarks.extract.
    """
    plan = planned(videos, out)
    skipped = tuple(target for target in plan.values() if target.exists())
    due = [video for video, target in plan.items() if not target.exists()]
    written: list[Path] = []
    failed: dict[Path, Exception] = {}
    with tqdm(total=len(plan), initial=len(skipped), unit="video", disable=not progress) as bar:
        for video, found in _extracted(due, processes, backend):
            if isinstance(found, LandmarkSequence):
                _write(plan[video], npz.write(found))
                written.append(plan[video])
            else:
                failed[video] = found
            bar.update()
    return Prepared(tuple(sorted(written)), skipped, failed)


def _extracted(videos: list[Path], processes: int, backend: Backend) -> Iterator[Found]:
    """Each video's landmarks, or what was wrong with it, even where it takes the process down with it."""
    waiting = dict.fromkeys(videos)
    try:
        for video, found in extract_videos(videos, processes, backend) if videos else ():
            del waiting[video]
            yield video, found
    except BrokenProcessPool:
        # One of those that were worked on killed its process: one by one, it is the one that does so again.
        for video in waiting:
            try:
                yield from extract_videos([video], 1, backend)
            except BrokenProcessPool:
                yield video, RuntimeError("the process that read it died")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training prepare`."""
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="a video, or a folder of them")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the landmark files")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: %(default)s")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what finds them; default: %(default)s")


def run(options: argparse.Namespace, report: Callable[[str], object]) -> int:
    """1 where a video failed, else 0."""
    done = prepare(options.videos, options.out, options.processes, progress=True, backend=options.backend)
    for video, error in done.failed.items():
        report(f"{video}: {type(error).__name__}: {error}")
    report(f"{len(done.written)} written, {len(done.skipped)} there already, {len(done.failed)} failed: {options.out}")
    return 1 if done.failed else 0
