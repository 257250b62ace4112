"""Which frames of a clip a network is given: (length, ...) -> positions, by the rules of the published recipes.

All are pure; what draws takes a numpy Generator. Positions lie in 0..length-1, but for -1: no frame there. `gather`
makes frames of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]
Random = np.random.Generator
NOTHING = -1


def gather(xyz: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """(T, V, C) frames at positions (...,) -> (..., V, C); NaN where there is no frame."""
    frames = xyz[np.where(positions == NOTHING, 0, positions)].copy()
    frames[positions == NOTHING] = np.nan
    return frames


def windows(length: int, frames: int, stride: int = 1) -> Positions:
    """(N, frames) every `stride`-th window that lies within the clip; none of a shorter one (SCA-STGCN: 25 frames,
    stride 1, nothing padded)."""
    _check(length, frames, stride)
    starts = np.arange(0, length - frames + 1, stride)
    return starts[:, None] + np.arange(frames)


def loop(length: int, frames: int) -> Positions:
    """(frames,) the first frames, from the beginning again after the last (original ST-GCN and mmaction2 0.x: 300;
    DSTA-SLR: 150)."""
    _check(length, frames)
    return np.arange(frames) % length


def pad(length: int, frames: int, at_end: bool = True) -> Positions:
    """(frames,) the first frames, and nothing after the last (pyskl vanilla: 300).

    at_end: False puts the nothing first, as a live window holds a clip that has just begun; a longer clip then gives
    its last frames.
    """
    _check(length, frames)
    if at_end:
        positions = np.arange(frames)
        return np.where(positions < length, positions, NOTHING)
    return np.maximum(np.arange(length - frames, length), NOTHING)


def segments(length: int, frames: int, random: Random | None = None) -> Positions:
    """(frames,) one frame of each of as many equal segments: a drawn one (pyskl UniformSample in training, of 100), or
    without a generator the one in the middle, which is nobody's published test but draws nothing.

    Drawn, as published: a clip of at least twice the frames gives one frame a segment; of fewer, consecutive frames
    that skip some; a shorter clip is looped from a drawn start. In the middle: a shorter clip repeats frames.
    """
    _check(length, frames)
    if random is None:
        return ((2 * np.arange(frames) + 1) * length) // (2 * frames)
    if length < frames:
        return (random.integers(length) + np.arange(frames)) % length
    if length < 2 * frames:
        skips = random.choice(frames + 1, length - frames, replace=False)
        return _skipping(frames, skips)
    edges = _edges(length, frames)
    return edges[:-1] + random.integers(np.diff(edges))


def segments_test(length: int, frames: int, clips: int = 10, seed: int = 255, interval: bool = True) -> Positions:
    """(clips, frames) the published test draws of pyskl's UniformSample, the same for every clip of a length.

    Answers are softmaxed, then averaged over the clips. A shorter clip is looped from evenly spaced starts. Numpy's
    legacy generator is seeded anew for each sample, so that published checkpoints see the frames that they were
    measured on.

    interval: pyskl draws an interval of the clip first, of which its default makes the whole clip; mmaction2 1.x does
        not, so that its draws are others.
    """
    _check(length, frames, clips)
    random = np.random.RandomState(seed)
    found = []
    for clip in range(clips):
        if interval:
            random.rand()
            random.randint(1)
        if length < frames:
            start = clip if length < clips else clip * length // clips
            found.append((start + np.arange(frames)) % length)
        elif length < 2 * frames:
            found.append(_skipping(frames, random.choice(frames + 1, length - frames, replace=False)))
        else:
            edges = _edges(length, frames)
            found.append(edges[:-1] + random.randint(np.diff(edges)))
    return np.stack(found).astype(np.intp)


def _edges(length: int, frames: int) -> Positions:
    return np.arange(frames + 1) * length // frames


def _skipping(frames: int, skips: Positions) -> Positions:
    """Consecutive frames, one left out before each place of `skips` (in 0..frames; the last is after them all)."""
    left_out = np.zeros(frames + 1, np.intp)
    left_out[skips] = 1
    return np.arange(frames) + np.cumsum(left_out)[:-1]


def bins(length: int, frames: int = 20, random: Random | None = None) -> Positions:
    """(frames,) one frame of each of as many bins of length // frames frames, the tail dropped: a drawn one (SGN: 20; 1
    draw in training, the mean of 5 in tests), or without a generator the middle one.

    A clip of fewer frames than bins repeats frames, as `segments` without a generator does.
    """
    _check(length, frames)
    size = length // frames
    if not size:
        return segments(length, frames)
    within = size // 2 if random is None else random.integers(size, size=frames)
    return np.arange(frames) * size + within


def subset(length: int, frames: int, random: Random | None = None) -> Positions:
    """(frames,) in order: drawn frames, some twice or more in a shorter clip (DSTA-SLR in training, of 120), or without
    a generator those at i x length // frames (its test).

    How a shorter clip is filled is not published in detail: here all frames are taken as often as they fit, and the
    rest is drawn without repeats.
    """
    _check(length, frames)
    if random is None:
        return np.arange(frames) * length // frames
    often, rest = divmod(frames, length)
    drawn = random.choice(length, rest, replace=False)
    return np.sort(np.concatenate([np.tile(np.arange(length), often), drawn])).astype(np.intp)


def _check(length: int, *numbers: int) -> None:
    if length < 1 or min(numbers) < 1:
        raise ValueError(f"need a clip of at least one frame, and numbers of at least 1, got {length} and {numbers}")
