"""What a body looks like to us: named joints, sequences of them, windows over them, files that hold them."""

from landmarks.cutter import Cut, Cutter
from landmarks.errors import (
    FormatError,
    LandmarkError,
    ManifestError,
    NoFrames,
    NoPerson,
    NotAVideo,
    TimeError,
    UnknownFormat,
    UnknownJoint,
    UnknownLayout,
)
from landmarks.layout import HAND_21, HOLISTIC_75, LAYOUTS, POSE_33, SIGN_27, UPPER_BODY, Layout, find_layout
from landmarks.manifest import Decoding, Manifest
from landmarks.resample import Resampler
from landmarks.sequence import LandmarkSequence
from landmarks.window import Window, frames_behind

__all__ = [
    "HAND_21",
    "HOLISTIC_75",
    "LAYOUTS",
    "POSE_33",
    "SIGN_27",
    "UPPER_BODY",
    "Cut",
    "Cutter",
    "Decoding",
    "FormatError",
    "LandmarkError",
    "LandmarkSequence",
    "Layout",
    "Manifest",
    "ManifestError",
    "NoFrames",
    "NoPerson",
    "NotAVideo",
    "Resampler",
    "TimeError",
    "UnknownFormat",
    "UnknownJoint",
    "UnknownLayout",
    "Window",
    "find_layout",
    "frames_behind",
]
