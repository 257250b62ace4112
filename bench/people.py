"""People who walk past each other, made of recorded signers: who is taken for whom, and whose hand for whose."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.table import check_place, markdown, write
from landmarks import HOLISTIC_75, holistic
from landmarks.people import Crowd, People
from landmarks.sides import Sides
from landmarks.torso import Torso
from training import datasets
from training.tasks.frames import bridge

PLACE = "people"
FPS = 15.0
"""Of the recorded takes."""
ASPECT = 4 / 3
_SIDES = (holistic.PARTS["left_hand"], holistic.PARTS["right_hand"])
Takes = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Scene:
    """Two people sign and walk past each other, back and forth.

    ways: from one side to the other. fps: frames a second. lost: share of frames in which one of them is not found,
    drawn one by one. hidden_s: as they meet, one is not found for so long. noise: of every joint, in shoulder widths.
    sizes: of both, in that of the recording.
    """

    ways: int = 2
    fps: float = 15.0
    seconds: float = 8.0
    lost: float = 0.1
    hidden_s: float = 0.4
    noise: float = 0.01
    sizes: tuple[float, float] = (0.5, 0.45)


SCENES = {
    "all seen": Scene(lost=0, hidden_s=0, noise=0),
    "10% lost, one hidden 0.4 s": Scene(),
    "30% lost, one hidden 0.8 s": Scene(lost=0.3, hidden_s=0.8),
    "the same, noise 0.05, one size": Scene(lost=0.3, hidden_s=0.8, noise=0.05, sizes=(0.5, 0.5)),
    "5 frames/s": Scene(fps=5),
    "twice as fast": Scene(ways=4),
    "twice as fast, 5 frames/s": Scene(ways=4, fps=5),
}


@dataclass(frozen=True, eq=False)
class Walk:
    """at_s: (T,). bodies: (T, 2, 75, 3) of both. seen: (T, 2) whether they are found."""

    at_s: NDArray[np.float64]
    bodies: NDArray[np.float32]
    seen: NDArray[np.bool_]

    @property
    def speed(self) -> float:
        """The fastest that the shoulders go, in their widths a second; a smooth way, so that noise is left out."""
        torso = Torso(HOLISTIC_75)
        square = self.bodies * np.array([ASPECT, 1, ASPECT])
        width = np.nanmedian(torso.size(square))
        middle = square[:, :, HOLISTIC_75.indices("left_shoulder", "right_shoulder"), 0].mean(axis=-1)
        return float(np.nanpercentile(np.abs(np.gradient(middle, self.at_s, axis=0)), 95) / width)


def walk_past(first: Takes, second: Takes, scene: Scene, random: np.random.Generator) -> Walk:
    """Takes (T, 75, 3) of two people, each joined to one stream, put side by side and moved."""
    steps = round(scene.seconds * FPS)
    every = max(1, round(FPS / scene.fps))
    at_s = np.arange(0, steps, every) / FPS
    both = [_stream(takes, steps, random)[::every] for takes in (first, second)]
    for xyz, size, sign in zip(both, scene.sizes, (1, -1), strict=True):
        middle = 0.5 + sign * 0.3 * np.cos(np.pi * scene.ways * at_s / scene.seconds)
        width = size * 0.3  # of a recorded signer's shoulders, in heights
        xyz[..., 0] = middle[:, None] + size * (xyz[..., 0] - 0.5)
        xyz[..., 1] = 0.5 + size * (xyz[..., 1] - 0.5)
        xyz += random.normal(0, scene.noise * width, xyz.shape).astype(np.float32)
    seen = np.ones((len(at_s), 2), bool)
    lost = np.flatnonzero(random.random(len(at_s)) < scene.lost)
    seen[lost, random.integers(2, size=len(lost))] = False
    for way in range(scene.ways):
        begins = (way + 0.5) * scene.seconds / scene.ways - scene.hidden_s / 2
        seen[(at_s >= begins) & (at_s < begins + scene.hidden_s), random.integers(2)] = False
    return Walk(at_s, np.stack(both, axis=1), seen)


def _stream(takes: Takes, steps: int, random: np.random.Generator) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    while sum(map(len, parts)) < steps:
        take = takes[random.integers(len(takes))]
        parts += [bridge(parts[-1][-1], take[0], 6)] if parts else []
        parts.append(take)
    return np.concatenate(parts)[:steps].copy()


def follow(walk: Walk, random: np.random.Generator, crowd: Crowd | None = None) -> NDArray[np.intp]:
    """(T, 2) the number that each was given, 0 where not found. Bodies come in a new order at every frame."""
    people, told = People(crowd or Crowd()), np.zeros(walk.seen.shape, np.intp)
    for i, at_s in enumerate(walk.at_s.tolist()):
        here = random.permutation(np.flatnonzero(walk.seen[i]))
        for number, xyz in people.push(at_s, walk.bodies[i, here], ASPECT):
            (whose,) = [who for who in here if np.array_equal(xyz, walk.bodies[i, who], equal_nan=True)]
            told[i, whose] = number
    return told


def mistaken(told: NDArray[np.intp]) -> int:
    """How many of the two do not keep one number, or share it."""
    numbers = [set(column[column > 0].tolist()) for column in told.T]
    return sum(len(mine) != 1 for mine in numbers) + bool(numbers[0] & numbers[1])


def sorted_hands(takes: Takes, given: Callable[[NDArray[np.float32]], tuple]) -> tuple[int, int]:
    """(hands that end up elsewhere than where they were recorded, hands) of takes whose pose is seen.

    given: a frame (75, 3) -> the frame and the loose hands that a detector gives.
    """
    wrong = count = 0
    for take in takes:
        sides = Sides()
        for i, xyz in enumerate(take):
            frame, hands = given(xyz)
            ((_, sorted_),) = sides.push(i / FPS, [(1, frame)], ASPECT, hands)
            for part in _SIDES:
                if np.isfinite(xyz[part][0, 0]):
                    wrong += not np.array_equal(sorted_[part], xyz[part])
                    count += 1
    return wrong, count


def detectors(random: np.random.Generator) -> dict[str, Callable[[NDArray[np.float32]], tuple]]:
    """What sorted_hands is given."""
    left, right = _SIDES

    def swap(xyz: NDArray[np.float32]) -> tuple:
        frame = xyz.copy()
        if random.random() < 0.5:
            frame[left], frame[right] = xyz[right], xyz[left]
        return frame, ()

    def loose(xyz: NDArray[np.float32]) -> tuple:
        frame = xyz.copy()
        frame[left] = frame[right] = np.nan
        hands = [xyz[part] for part in _SIDES if np.isfinite(xyz[part][0, 0])]
        return frame, [hands[i] for i in random.permutation(len(hands))]

    return {"as recorded": lambda xyz: (xyz, ()), "sides by chance": swap, "without sides": loose}


def recorded(folder: Path) -> dict[int, list[NDArray[np.float32]]]:
    """Person -> takes (T, 75, 3) in which a pose is seen throughout."""
    found: dict[int, list[NDArray[np.float32]]] = {}
    shoulder = HOLISTIC_75.indices("left_shoulder")[0]
    for clip in datasets.load(folder, ("asl-words", "signs")):
        xyz = clip.sequence.xyz
        if len(clip.sequence.layout) == len(HOLISTIC_75) and np.isfinite(xyz[:, shoulder, 0]).all():
            found.setdefault(clip.person, []).append(xyz)
    return found


def arguments(parser: argparse.ArgumentParser) -> None:
    """On what, how often."""
    parser.add_argument("--folder", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--walks", type=int, default=100, help="of each scene; default: %(default)s")
    parser.add_argument("--takes", type=int, default=1500, help="of hands; default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into their marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 where there is no data."""
    try:
        if options.write:
            check_place(options.write, PLACE)
        by_person = recorded(options.folder)
    except (ValueError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    random = np.random.default_rng(0)
    takes = [take for person in sorted(by_person) for take in by_person[person]]
    takes = [takes[i] for i in random.permutation(len(takes))[: options.takes]]
    text = "\n\n".join((_scenes(by_person, options.walks), _hands(takes, random), _costs(takes[0])))
    print(text)
    if options.write:
        write(options.write, PLACE, "python -m bench people", text)
    return 0


def _scenes(by_person: dict[int, list[NDArray[np.float32]]], walks: int) -> str:
    persons, rows = sorted(by_person), []
    for name, scene in SCENES.items():
        random, wrong, new, speeds = np.random.default_rng(1), 0, 0, []
        for _ in range(walks):
            first, second = (by_person[persons[i]] for i in random.choice(len(persons), 2, replace=False))
            walk = walk_past(first, second, scene, random)
            told = follow(walk, random)
            wrong += mistaken(told) > 0
            new += int(told.max()) - 2
            speeds.append(walk.speed)
        rows.append((name, f"{np.median(speeds):.1f}", f"{wrong} of {walks}", new))
    return (
        f"Two of {len(persons)} recorded signers walk past each other, {walks} walks a row, bodies in a new order at "
        "every frame. Speed: in shoulder widths a second, at their fastest, median. Mistaken: somebody is not the same "
        f"number from beginning to end.\n\n{markdown(('', 'speed', 'mistaken', 'numbers too many'), rows)}"
    )


def _hands(takes: Takes, random: np.random.Generator) -> str:
    rows = []
    for name, given in detectors(random).items():
        wrong, count = sorted_hands(takes, given)
        rows.append((name, f"{wrong} of {count}", f"{wrong / count:.3%}"))
    return f"Hands of {len(takes)} recorded takes that do not end up at their wrist:\n\n" + markdown(
        ("hands come", "elsewhere", ""), rows
    )


def _costs(take: NDArray[np.float32], frames: int = 1000) -> str:
    cells = []
    for count in (1, 2, 4):
        bodies = np.stack([take[0] + (i, 0, 0) for i in range(count)]).astype(np.float32)
        people, sides = People(Crowd(count)), Sides()
        found: list[tuple[int, NDArray[np.float32]]] = []
        began = time.thread_time()
        for i in range(frames):
            found = people.push(i / FPS, bodies, ASPECT)
        middle = time.thread_time()
        for i in range(frames):
            sides.push(i / FPS, found, ASPECT)
        ended = time.thread_time()
        cells.append((count, *(f"{1e6 * took / frames:.0f}" for took in (middle - began, ended - middle))))
    return "Microseconds of processor time a frame:\n\n" + markdown(("people", "who is who", "whose hands"), cells)
