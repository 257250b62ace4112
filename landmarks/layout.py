"""Joints by name: which there are, in which order, and the bones between them.

Names are MediaPipe's, in lower case: pose joints plain (`left_wrist`), hand joints with their hand
(`left_hand_index_tip`). Left and right are the person's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import UnknownJoint, UnknownLayout

Bone = tuple[str, str]
"""(child, parent)"""
Hand = Literal["left", "right"]
"""Of a body, which is its owner's left or right."""


@dataclass(frozen=True)
class Layout:
    """An ordered set of V joints and the bones between them.

    name: how manifests and files refer to it.
    joints: V names, in array order.
    bones: (child, parent) pairs of names.
    centre: the joint that a body is seen from; by default the first that is no bone's child.
    solid: depth is measured, in the unit of x and y; elsewhere z is guessed from a picture.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[Bone, ...]
    centre: str = ""
    solid: bool = False

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"layout {self.name}: a joint is named twice")
        self.indices(*(joint for bone in self.bones for joint in bone))
        if not self.centre:
            children = {child for child, _ in self.bones}
            object.__setattr__(self, "centre", next((j for j in self.joints if j not in children), self.joints[0]))
        self.indices(self.centre)

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {joint: i for i, joint in enumerate(self.joints)}

    def __contains__(self, joint: str) -> bool:
        return joint in self._position

    def indices(self, *joints: str) -> NDArray[np.intp]:
        """Positions of the named joints in this layout, in the order asked.

        Raises UnknownJoint, naming every joint that is not here.
        """
        missing = [joint for joint in joints if joint not in self._position]
        if missing:
            raise UnknownJoint(f"layout {self.name} has no joint {', '.join(missing)}")
        return np.array([self._position[joint] for joint in joints], dtype=np.intp)

    @cached_property
    def mirror(self) -> NDArray[np.intp]:
        """(V,) for each joint the position of its left/right twin; a joint in the middle is its own."""
        return self.indices(*(_twin(joint) for joint in self.joints))

    @cached_property
    def edges(self) -> NDArray[np.intp]:
        """(E, 2) the bones as (child, parent) positions."""
        return self.indices(*(joint for bone in self.bones for joint in bone)).reshape(-1, 2)


_OTHER_SIDE = {"left": "right", "right": "left"}


def _twin(joint: str) -> str:
    return "_".join(_OTHER_SIDE.get(word, word) for word in joint.split("_"))


def _both_sides(*bones: Bone) -> tuple[Bone, ...]:
    return bones + tuple((_twin(child), _twin(parent)) for child, parent in bones)


_POSE_JOINTS = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    *(
        f"{side}_{part}"
        for part in (
            "shoulder",
            "elbow",
            "wrist",
            "pinky",
            "index",
            "thumb",
            "hip",
            "knee",
            "ankle",
            "heel",
            "foot_index",
        )
        for side in ("left", "right")
    ),
)
_FINGERS = {
    "thumb": ("cmc", "mcp", "ip", "tip"),
    **dict.fromkeys(("index", "middle", "ring", "pinky"), ("mcp", "pip", "dip", "tip")),
}
_HAND_JOINTS = ("wrist", *(f"{finger}_{part}" for finger, parts in _FINGERS.items() for part in parts))
_HAND_BONES = tuple(
    (f"{finger}_{part}", f"{finger}_{before}" if before else "wrist")
    for finger, parts in _FINGERS.items()
    for before, part in zip((None, *parts), parts, strict=False)
)


def on_body(hand: Hand, joints: Sequence[str]) -> tuple[str, ...]:
    """What a hand's joints are called where both hands are: on HOLISTIC_75."""
    return tuple(f"{hand}_hand_{joint}" for joint in joints)


def _hands_on_wrists() -> tuple[Bone, ...]:
    left = tuple((f"left_hand_{child}", f"left_hand_{parent}") for child, parent in _HAND_BONES)
    return _both_sides(("left_hand_wrist", "left_wrist"), *left)


_ARMS = (
    *_both_sides(("left_elbow", "left_shoulder"), ("left_wrist", "left_elbow"), ("left_shoulder", "nose")),
    ("left_shoulder", "right_shoulder"),
)
_POSE_BONES = (
    *_ARMS,
    *_both_sides(
        ("left_eye_inner", "nose"),
        ("left_eye", "left_eye_inner"),
        ("left_eye_outer", "left_eye"),
        ("left_ear", "left_eye_outer"),
        ("left_pinky", "left_wrist"),
        ("left_index", "left_wrist"),
        ("left_thumb", "left_wrist"),
        ("left_hip", "left_shoulder"),
        ("left_knee", "left_hip"),
        ("left_ankle", "left_knee"),
        ("left_heel", "left_ankle"),
        ("left_foot_index", "left_heel"),
    ),
    ("mouth_left", "nose"),
    ("mouth_right", "nose"),
)

POSE_33 = Layout("pose_33", _POSE_JOINTS, _POSE_BONES)
"""MediaPipe Pose."""

HAND_21 = Layout("hand_21", _HAND_JOINTS, _HAND_BONES)
"""MediaPipe Hands: one hand, either side."""

HOLISTIC_75 = Layout(
    "holistic_75",
    (*_POSE_JOINTS, *on_body("left", _HAND_JOINTS), *on_body("right", _HAND_JOINTS)),
    (*_POSE_BONES, *_hands_on_wrists()),
)
"""MediaPipe Holistic without the face: pose 33, left hand 21, right hand 21."""

_UPPER_BODY_JOINTS = tuple(joint for joint in _POSE_JOINTS[:25] if not joint.endswith(("_pinky", "_index", "_thumb")))
UPPER_BODY = Layout(
    "upper_body",
    _UPPER_BODY_JOINTS,
    tuple(bone for bone in _POSE_BONES if set(bone) <= set(_UPPER_BODY_JOINTS)),
)
"""Pose down to the hips, without the three coarse hand points a side."""


def _sign_27_hand(side: str) -> tuple[str, ...]:
    parts = ("wrist", "thumb_tip", *(f"{f}_{p}" for f in ("index", "middle", "ring", "pinky") for p in ("mcp", "tip")))
    return tuple(f"{side}_hand_{part}" for part in parts)


SIGN_27 = Layout(
    "sign_27",
    (
        "nose",
        *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist") for side in ("left", "right")),
        *_sign_27_hand("left"),
        *_sign_27_hand("right"),
    ),
    (
        *_ARMS,
        *_both_sides(
            ("left_hand_wrist", "left_wrist"),
            ("left_hand_thumb_tip", "left_hand_wrist"),
            *(
                bone
                for finger in ("index", "middle", "ring", "pinky")
                for bone in (
                    (f"left_hand_{finger}_mcp", "left_hand_wrist"),
                    (f"left_hand_{finger}_tip", f"left_hand_{finger}_mcp"),
                )
            ),
        ),
    ),
)
"""Nose, arms and ten joints a hand: the 27 nodes used for sign recognition (SAM-SLR, DSTA-SLR)."""

_COCO_JOINTS = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear") for side in ("left", "right")),
    *(
        f"{side}_{part}"
        for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
)
_LEG = (("left_ankle", "left_knee"), ("left_knee", "left_hip"))
_ARM = (("left_wrist", "left_elbow"), ("left_elbow", "left_shoulder"))
COCO_17 = Layout(
    "coco_17",
    _COCO_JOINTS,
    _both_sides(
        *_LEG,
        ("left_hip", "left_shoulder"),
        *_ARM,
        ("left_shoulder", "nose"),
        ("left_eye", "nose"),
        ("left_ear", "left_eye"),
    ),
)
"""COCO key points, with the bones of pyskl and mmaction2 1.x."""

COCO_17_LINKED = Layout(
    "coco_17_linked",
    _COCO_JOINTS,
    (
        *_both_sides(
            *_LEG,
            ("left_shoulder", "left_hip"),
            *_ARM,
            ("left_eye", "nose"),
            ("left_ear", "left_eye"),
            ("left_ear", "left_shoulder"),
        ),
        ("left_hip", "right_hip"),
        ("left_shoulder", "right_shoulder"),
        ("left_eye", "right_eye"),
    ),
    centre="nose",
)
"""COCO key points, with the links across shoulders, hips and torso of mmaction2 0.x."""

_NTU_JOINTS = (
    "spine_base",
    "spine_mid",
    "upper_neck",
    "head",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "elbow", "wrist", "hand")),
    *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")),
    "spine_shoulder",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("handtip", "thumb")),
)
_NTU_BONES = (
    ("spine_base", "spine_mid"),
    ("spine_mid", "spine_shoulder"),
    ("upper_neck", "spine_shoulder"),
    ("head", "upper_neck"),
    *_both_sides(
        ("left_shoulder", "spine_shoulder"),
        *_ARM,
        ("left_hand", "left_wrist"),
        ("left_hip", "spine_base"),
        ("left_knee", "left_hip"),
        ("left_ankle", "left_knee"),
        ("left_foot", "left_ankle"),
        ("left_thumb", "left_hand"),
    ),
)
NTU_25 = Layout("ntu_25", _NTU_JOINTS, (*_NTU_BONES, *_both_sides(("left_handtip", "left_hand"))), solid=True)
"""Kinect v2 as in NTU RGB+D; hand tip and thumb both hang on the hand (pyskl)."""

NTU_25_CHAIN = Layout(
    "ntu_25_chain", _NTU_JOINTS, (*_NTU_BONES, *_both_sides(("left_handtip", "left_thumb"))), solid=True
)
"""NTU_25 whose hand tip hangs on the thumb (the original ST-GCN, mmaction2 0.x, CoST-GCN)."""

KINECT_20 = Layout(
    "kinect_20",
    (
        "spine_base",
        "spine_mid",
        "spine_shoulder",
        "head",
        *(f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "elbow", "wrist", "hand")),
        *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")),
    ),
    (
        ("spine_base", "spine_mid"),
        ("spine_mid", "spine_shoulder"),
        ("head", "spine_shoulder"),
        *_both_sides(
            ("left_shoulder", "spine_shoulder"),
            *_ARM,
            ("left_hand", "left_wrist"),
            ("left_hip", "spine_base"),
            ("left_knee", "left_hip"),
            ("left_ankle", "left_knee"),
            ("left_foot", "left_ankle"),
        ),
    ),
    solid=True,
)
"""Kinect v1, in its own order, with the joints named as NTU_25 names them: NW-UCLA, UTD-MHAD."""

INDEX_TIP = Layout("index_tip", ("index_tip",), ())
"""The tip of one index finger, and nothing else."""

_OPENPOSE_ARMS_AND_LEGS = tuple(
    f"{side}_{part}" for side in ("right", "left") for part in ("shoulder", "elbow", "wrist")
)
_OPENPOSE_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_OPENPOSE_BONES = (
    ("nose", "neck"),
    *_both_sides(
        ("left_shoulder", "neck"),
        *_ARM,
        *_LEG,
        ("left_eye", "nose"),
        ("left_ear", "left_eye"),
    ),
)
OPENPOSE_18 = Layout(
    "openpose_18",
    (
        "nose",
        "neck",
        *_OPENPOSE_ARMS_AND_LEGS,
        *(f"{side}_{part}" for side in ("right", "left") for part in ("hip", "knee", "ankle")),
        *_OPENPOSE_FACE,
    ),
    (*_OPENPOSE_BONES, *_both_sides(("left_hip", "left_shoulder"))),
    centre="neck",
)
"""OpenPose's COCO model."""

_FEET = ("big_toe", "small_toe", "heel")
BODY_25 = Layout(
    "body_25",
    (
        "nose",
        "neck",
        *_OPENPOSE_ARMS_AND_LEGS,
        "mid_hip",
        *(f"{side}_{part}" for side in ("right", "left") for part in ("hip", "knee", "ankle")),
        *_OPENPOSE_FACE,
        *(f"{side}_{part}" for side in ("left", "right") for part in _FEET),
    ),
    (
        *_OPENPOSE_BONES,
        ("mid_hip", "neck"),
        *_both_sides(
            ("left_hip", "mid_hip"),
            ("left_heel", "left_ankle"),
            ("left_big_toe", "left_ankle"),
            ("left_small_toe", "left_big_toe"),
        ),
    ),
    centre="neck",
)
"""OpenPose's BODY_25."""

SHREC_22 = Layout(
    "shrec_22",
    ("wrist", "palm", *_HAND_JOINTS[1:]),
    (
        ("palm", "wrist"),
        *((child, "palm" if parent == "wrist" and child != "thumb_cmc" else parent) for child, parent in _HAND_BONES),
    ),
    solid=True,
)
"""One hand of SHREC'17 and DHG: HAND_21 with a palm between the wrist and four of the fingers."""

_SHREC_20_JOINTS = ("palm", *(joint for joint in _HAND_JOINTS if joint not in ("wrist", "thumb_cmc")))
SHREC_20 = Layout(
    "shrec_20",
    _SHREC_20_JOINTS,
    tuple(
        (child, parent if parent in _SHREC_20_JOINTS else "palm")
        for child, parent in _HAND_BONES
        if child in _SHREC_20_JOINTS
    ),
    solid=True,
)
"""One hand of SHREC'21: fingers around a palm, no wrist."""

LAYOUTS = {
    layout.name: layout
    for layout in (
        HOLISTIC_75,
        POSE_33,
        HAND_21,
        UPPER_BODY,
        SIGN_27,
        COCO_17,
        COCO_17_LINKED,
        NTU_25,
        NTU_25_CHAIN,
        KINECT_20,
        OPENPOSE_18,
        BODY_25,
        SHREC_22,
        SHREC_20,
        INDEX_TIP,
    )
}
"""Every layout by its name."""


def numbered(joints: int, edges: Sequence[tuple[int, int]] = (), name: str = "") -> Layout:
    """A layout of V joints that have no names but numbers; edges are (child, parent) positions."""
    names = tuple(f"joint_{i}" for i in range(joints))
    return Layout(name or f"numbered_{joints}", names, tuple((names[a], names[b]) for a, b in edges))


def find_layout(name: str) -> Layout:
    """The layout of that name; raises UnknownLayout, which names those there are."""
    if name not in LAYOUTS:
        raise UnknownLayout(f"no layout {name!r}; choose from {', '.join(sorted(LAYOUTS))}")
    return LAYOUTS[name]


_EACH_SIDE = {
    "left_hand": {"left_wrist": 1 / 3, "left_index": 1 / 3, "left_pinky": 1 / 3},
    "left_handtip": {"left_hand_middle_tip": 1.0},
    "left_foot": {"left_foot_index": 1.0},
}
_SHOULDERS, _HIPS = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
MADE_OF: dict[str, dict[str, float]] = {
    "neck": dict.fromkeys(_SHOULDERS, 0.5),
    "mid_hip": dict.fromkeys(_HIPS, 0.5),
    "spine_base": dict.fromkeys(_HIPS, 0.5),
    "spine_shoulder": dict.fromkeys(_SHOULDERS, 0.5),
    "spine_mid": dict.fromkeys((*_SHOULDERS, *_HIPS), 0.25),
    "upper_neck": {**dict.fromkeys(_SHOULDERS, 0.35), "nose": 0.3},
    "head": dict.fromkeys(("nose", "left_ear", "right_ear"), 1 / 3),
    **_EACH_SIDE,
    **{_twin(joint): {_twin(part): w for part, w in parts.items()} for joint, parts in _EACH_SIDE.items()},
}
"""Joints that MediaPipe does not know, as weighted means of those it does: Kinect's and OpenPose's."""


def blend(source: Layout, target: Layout) -> NDArray[np.float32]:
    """(V_target, V_source) weights that make a target's joints of a source's.

    A row picks the joint of the same name, or else averages those that it is made of; it is all zeros
    where the source has neither.
    """
    weights = np.zeros((len(target), len(source)), dtype=np.float32)
    for row, joint in zip(weights, target.joints, strict=True):
        parts = {joint: 1.0} if joint in source else MADE_OF.get(joint, {})
        if parts and all(part in source for part in parts):
            row[source.indices(*parts)] = list(parts.values())
    return weights
