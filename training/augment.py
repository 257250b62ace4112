"""What another camera, another body, another tempo and a worse tracker would have given: raw coordinates in and out.

Every function takes xyz (T, V, 3) in square units with NaN where unseen and leaves it alone.
The options after `noise` draw nothing while they are 0, so that the draws of older recipes stay as they were; what is
added here must do the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from models.graph import hop_distance
from training.motion import shoulder_width, sides

Points = NDArray[np.float32]
Random = np.random.Generator


@dataclass(frozen=True)
class Augment:
    """How much of each; 0 leaves a thing out.

    mirror: chance of a mirrored picture. rate_low, rate_high: tempo, as factors. wobble: tempo change within a clip.
    rotate_deg: largest turn of the picture; turn_deg: of the body about the vertical. stretch: share by which width
    and height may differ (pictures of unknown aspect). scale, shift: of the picture, as shares.
    lose_hand: chance that one hand is not seen for a stretch of frames; lose_frame: share of frames without hands;
    lose_pose: chance that the pose is not seen for a stretch. late, ended: chance that the first frames have not come
    yet, or that the last ones come no more; up to half of the window.
    noise: tracker jitter of a joint, in shoulder widths (or spreads of the joints, of a layout without shoulders).
    nod_deg: largest turn of the body about the horizontal. perspective: largest change in size, about as a share, from
    the middle of the person to one spread of the joints away, as a near camera at an angle makes it.
    warp: tempo of each of six parts of a clip, by up to a factor of 1 + warp up or down.
    lose_joint: chance of each joint not to be seen for a stretch. drop_hand: chance of each hand not to be seen at all.
    drop_frame: largest share of frames in which nothing is seen (drop_hand 0.1 and drop_frame 0.15 train the signing
    segmenter of sign-language-processing, 2026).
    proportions: of the body: each bone longer or shorter by a factor of up to 1 + proportions, the same on both sides.
    rest_hand: chance that a hand which is never seen, as where the picture ends above it, is seen to hang at rest.
    """

    mirror: float = 0.0
    rate_low: float = 0.7
    rate_high: float = 1.5
    wobble: float = 0.2
    rotate_deg: float = 12.0
    turn_deg: float = 15.0
    stretch: float = 0.15
    scale: float = 0.2
    shift: float = 0.1
    lose_hand: float = 0.2
    lose_frame: float = 0.05
    lose_pose: float = 0.02
    late: float = 0.15
    ended: float = 0.1
    noise: float = 0.01
    nod_deg: float = 0.0
    perspective: float = 0.0
    warp: float = 0.0
    lose_joint: float = 0.0
    drop_hand: float = 0.0
    drop_frame: float = 0.0
    proportions: float = 0.0
    rest_hand: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.mirror, self.lose_hand, self.lose_frame, self.lose_pose, self.late, self.ended)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                f"mirror, lose_hand, lose_frame, lose_pose, late and ended are chances in 0..1, got {shares}"
            )
        shares = (self.lose_joint, self.drop_hand, self.drop_frame, self.rest_hand)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"lose_joint, drop_hand, drop_frame and rest_hand are chances in 0..1, got {shares}")
        if not (0 <= self.perspective < 1 and self.warp >= 0 and self.proportions >= 0):
            raise ValueError(
                "perspective lies in 0..1 (1 excluded), warp and proportions are at least 0, got "
                f"{self.perspective}, {self.warp}, {self.proportions}"
            )
        if not 0 < self.rate_low <= self.rate_high:
            raise ValueError(f"need 0 < rate_low <= rate_high, got {self.rate_low}, {self.rate_high}")
        if not (0 <= self.stretch < 1 and 0 <= self.scale < 1 and 0 <= self.wobble < 1 and self.noise >= 0):
            raise ValueError("stretch, scale and wobble lie in 0..1 (1 excluded), noise is at least 0")


def mirror(xyz: Points, layout: Layout, width: float = 1.0) -> Points:
    """As a mirror shows it: x runs the other way over a picture `width` wide, left joints are right ones."""
    flipped = xyz[:, layout.mirror]  # a copy
    flipped[..., 0] = np.float32(width) - flipped[..., 0]
    return flipped


def resample(xyz: Points, positions: NDArray[np.floating]) -> Points:
    """The frames at fractional `positions` (N,), as a live stream is resampled: linear between two frames that both
    see a joint, else the nearer frame decides. Positions are held within the clip."""
    last = len(xyz) - 1
    positions = np.clip(positions, 0, last)
    before = np.minimum(positions.astype(np.intp), max(last - 1, 0))
    after = np.minimum(before + 1, last)
    share = (positions - before).astype(np.float32)[:, None, None]
    earlier, later = xyz[before], xyz[after]
    mixed = earlier + share * (later - earlier)
    unseen = np.isnan(mixed)
    return np.where(unseen, np.where(share >= 0.5, later, earlier), mixed) if unseen.any() else mixed


def retime(xyz: Points, augment: Augment, random: Random) -> Points:
    """At another tempo, changing on the way; (T', V, 3) with T' about T / tempo."""
    return resample(xyz, moments(len(xyz), augment, random))


def moments(length: int, augment: Augment, random: Random) -> NDArray[np.float64]:
    """Where each frame of a clip of `length` frames is taken from at another tempo: (T',) positions that rise from its
    first frame to its last. What is known of a frame moves with it by these."""
    rate = np.exp(random.uniform(np.log(augment.rate_low), np.log(augment.rate_high)))
    frames = max(2, round((length - 1) / rate) + 1)
    even = np.linspace(0, 1, frames)
    swing = augment.wobble * random.uniform(-1, 1) * np.sin(2 * np.pi * (even + random.uniform())) / (2 * np.pi)
    shares = even + swing - swing[0] * (1 - even) - swing[-1] * even
    if augment.warp:
        shares = _warped(shares, augment.warp, random)
    return shares * (length - 1)


def _warped(moments: NDArray[np.float64], warp: float, random: Random, parts: int = 6) -> NDArray[np.float64]:
    """Moments in 0..1 with each part of the time at a tempo of its own; the ends stay."""
    tempos = np.exp(np.log1p(warp) * random.uniform(-1, 1, parts))
    passed = np.concatenate([[0.0], np.cumsum(tempos)])
    return np.interp(moments, np.linspace(0, 1, parts + 1), passed / passed[-1])


def view(xyz: Points, layout: Layout, augment: Augment, random: Random) -> Points:
    """From another camera, of another body: mirrored, turned, stretched, scaled, shifted, nearer, of other limbs."""
    if augment.rest_hand and random.random() < augment.rest_hand:
        xyz = _with_resting_hand(xyz, layout, random)
    if random.random() < augment.mirror:
        xyz = mirror(xyz, layout)
    tilt, turn = np.deg2rad(random.uniform(-1, 1, 2) * (augment.rotate_deg, augment.turn_deg))
    # About the vertical, then about the line of view.
    (across, up), (aside, ahead) = ((np.cos(angle), np.sin(angle)) for angle in (tilt, turn))
    rotation = ((across * aside, -up, across * ahead), (up * aside, across, up * ahead), (-ahead, 0, aside))
    xyz = _rotate(xyz, layout, np.array(rotation))
    size = (1 + augment.scale * random.uniform(-1, 1)) * np.exp(augment.stretch * random.uniform(-0.5, 0.5, 3))
    xyz = (xyz * size + augment.shift * random.uniform(-1, 1, 3)).astype(np.float32)
    if augment.nod_deg:
        nod = np.deg2rad(augment.nod_deg * random.uniform(-1, 1))
        xyz = _rotate(xyz, layout, np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]]))
    if augment.perspective:
        xyz = _nearer(xyz, augment.perspective * random.uniform(-1, 1, 2))
    if augment.proportions:
        xyz = _grown(xyz, layout, np.exp(np.log1p(augment.proportions) * random.uniform(-1, 1, len(layout))))
    return xyz


def _grown(xyz: Points, layout: Layout, factors: NDArray[np.float64]) -> Points:
    """The same pose with bones of other lengths: `factors` (V,) are of the bone between a joint and what it hangs on;
    of twins, left and right, the first one's counts for both. What hangs on a joint moves along with it."""
    joints, parents, bones = np.array(_skeleton(layout)).T
    stretch, moved = np.zeros_like(xyz), np.zeros_like(xyz)  # (T, V, 3)
    longer = (factors[bones] - 1).astype(np.float32)[:, None]  # (V-1, 1)
    stretch[:, joints] = np.nan_to_num(longer * (xyz[:, joints] - xyz[:, parents]))
    for joint, parent in zip(joints, parents, strict=True):
        moved[:, joint] = moved[:, parent] + stretch[:, joint]
    return xyz + moved


@functools.cache
def _skeleton(layout: Layout) -> tuple[tuple[int, int, int], ...]:
    """(joint, what it hangs on, the first of its twins) outwards from the centre, along the bones."""
    hops = hop_distance(layout)
    out = hops[layout.indices(layout.centre)[0]]  # (V,)
    found = []
    for joint in np.argsort(out, kind="stable")[1 : np.isfinite(out).sum()].tolist():
        parent = int(np.flatnonzero((hops[joint] == 1) & (out < out[joint]))[0])
        found.append((joint, parent, int(min(joint, layout.mirror[joint]))))
    return tuple(found)


def _with_resting_hand(xyz: Points, layout: Layout, random: Random) -> Points:
    """Where one hand alone is seen: with the other one at rest, which hangs from its wrist as the pose has it, fingers
    about downwards; a mirror image of the seen one, as that was in one frame."""
    for side, other, hand in zip(("left", "right"), ("right", "left"), sides(layout), strict=True):
        wrists = [f"{side}_wrist", f"{other}_hand_wrist", f"{other}_hand_middle_mcp"]
        if any(joint not in layout for joint in wrists):
            continue
        wrist, root, knuckle = layout.indices(*wrists).tolist()
        seen = np.flatnonzero(np.isfinite(xyz[:, [root, knuckle], 0]).all(axis=1))
        if not len(seen) or np.isfinite(xyz[:, hand]).any():
            continue
        one = mirror(xyz[seen[random.integers(len(seen))]][None], layout, 0.0)[0]  # (V, 3)
        root, knuckle = layout.mirror[[root, knuckle]].tolist()
        shape = one[hand] - one[root]  # (H, 3)
        along = one[knuckle] - one[root]
        angle = random.normal(np.pi / 2, 0.4) - np.arctan2(along[1], along[0])  # y grows downwards
        cos, sin = np.cos(angle), np.sin(angle)
        shape = shape @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)
        xyz = xyz.copy()
        # A hand's depth counts from its own wrist.
        xyz[:, hand] = xyz[:, wrist, None] * np.array([1, 1, 0], np.float32) + shape
        if random.random() < 0.3:
            _lose(xyz, hand, random)
    return xyz


def _rotate(xyz: Points, layout: Layout, rotation: NDArray[np.float64]) -> Points:
    """By a (3, 3) matrix. A hand's depth counts from its wrist, the body's from the hips, so a hand is turned at its
    pose wrist's depth."""
    turned = xyz.copy()
    turned[..., 2] += _hung(xyz, layout)
    turned = turned @ rotation.T.astype(np.float32)
    turned[..., 2] -= _hung(turned, layout)
    return turned


def _hung(xyz: Points, layout: Layout) -> NDArray[np.float32]:
    """(T, V) the depth that each joint's own depth counts from: of its pose wrist for a hand's, 0 where that is unseen,
    and for all others."""
    hooks = _hooks(layout)
    depths = np.zeros((len(xyz), len(hooks) + 1), np.float32)
    depths[:, :-1] = xyz[..., 2]
    depths[np.isnan(depths)] = 0
    return depths[:, hooks]


@functools.cache
def _hooks(layout: Layout) -> NDArray[np.intp]:
    """(V,) the wrist of the pose that each joint of a hand hangs on; V for every other joint."""
    hooks = np.full(len(layout), len(layout))
    for side, hand in zip(("left", "right"), sides(layout), strict=True):
        if f"{side}_wrist" in layout:
            hooks[hand] = layout.indices(f"{side}_wrist")[0]
    return hooks


def _nearer(xyz: Points, growth: NDArray[np.float64]) -> Points:
    """Seen as a picture that leans away from the camera: larger on one side, by the share `growth` (2,) in x and in y
    for each spread of the joints from their middle. Straight lines stay straight."""
    middle, spread = _extent(xyz)
    away = (xyz[..., :2] - middle[:2]) / spread @ growth  # (T, V)
    return (middle + (xyz - middle) / np.maximum(1 - away, 0.3)[..., None]).astype(np.float32)


def _extent(xyz: Points) -> tuple[NDArray[np.float32], float]:
    """Where the joints that are seen are in the mean, (3,), and their root mean square distance from there in x and
    y; 0 and 1 where there are none."""
    seen = xyz[np.isfinite(xyz).all(axis=-1)]  # (N, 3)
    if not len(seen):
        return np.zeros(3, np.float32), 1.0
    middle = seen.mean(axis=0)
    spread = float(np.sqrt(((seen - middle)[:, :2] ** 2).sum(axis=-1).mean()))
    return middle, spread if spread > 1e-6 else 1.0


def _size(xyz: Points, layout: Layout) -> float:
    """Shoulder width, or the spread of the joints of a layout without shoulders."""
    if "left_shoulder" in layout and "right_shoulder" in layout:
        return shoulder_width(xyz, layout)
    return _extent(xyz)[1]


def track(xyz: Points, layout: Layout, augment: Augment, random: Random) -> Points:
    """Through a worse tracker: jitter, hands, frames and pose that are lost, late first and missing last frames."""
    jitter = augment.noise * random.random() * _size(xyz, layout)
    xyz = (xyz + jitter * random.standard_normal(xyz.shape)).astype(np.float32)
    left, right = sides(layout)
    if random.random() < augment.lose_hand:
        _lose(xyz, left if random.random() < 0.5 else right, random)
    if random.random() < augment.lose_pose:
        _lose(xyz, ~(left | right), random)
    lost = random.random(len(xyz)) < augment.lose_frame * random.random() * 2
    if lost.any():
        xyz[np.ix_(lost, left | right)] = np.nan
    if random.random() < augment.late:
        xyz[: random.integers(1, max(2, len(xyz) // 2 + 1))] = np.nan
    if random.random() < augment.ended:
        xyz[len(xyz) - random.integers(1, max(2, len(xyz) // 2 + 1)) :] = np.nan
    if augment.lose_joint:
        for joint in np.flatnonzero(random.random(len(layout)) < augment.lose_joint):
            _lose(xyz, np.arange(len(layout)) == joint, random)
    if augment.drop_hand:
        for hand in (left, right):
            if random.random() < augment.drop_hand:
                xyz[:, hand] = np.nan
    if augment.drop_frame:
        xyz[random.random(len(xyz)) < augment.drop_frame * random.random()] = np.nan
    return xyz


def _lose(xyz: Points, joints: NDArray[np.bool_], random: Random) -> None:
    first, last = np.sort(random.integers(0, len(xyz) + 1, 2))
    if random.random() < 0.3:
        first, last = 0, len(xyz)
    xyz[first:last, joints] = np.nan


def clip_window(xyz: Points, end: int, frames: int) -> Points:
    """(frames, V, 3) up to and with frame `end`, as a live window holds them: NaN before the clip begins."""
    window = np.full((frames, *xyz.shape[1:]), np.nan, dtype=np.float32)
    part = xyz[max(0, end + 1 - frames) : end + 1]
    window[frames - len(part) :] = part
    return window
