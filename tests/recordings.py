"""Landmark files of the formats that others write, written by the tests."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np

from landmarks import BODY_25, HOLISTIC_75, holistic
from landmarks.kinect import turned

HANDS = {"hand_left_keypoints_2d": "left_hand", "hand_right_keypoints_2d": "right_hand"}


def openpose_person(xyz, confidence, width=1, height=1):
    """A frame's joints (75, 3), (75,) as OpenPose writes one person, in pixels."""
    rows = np.concatenate([np.nan_to_num(xyz[:, :2]) * (width, height), confidence[:, None]], axis=1)
    body = np.zeros((25, 3))
    for i, joint in enumerate(BODY_25.joints):
        if joint in HOLISTIC_75:
            body[i] = rows[HOLISTIC_75.indices(joint)[0]]
    person = {"person_id": [-1], "pose_keypoints_2d": body.ravel().tolist(), "face_keypoints_2d": []}
    return person | {key: rows[holistic.PARTS[part]].ravel().tolist() for key, part in HANDS.items()}


def openpose_frames(clip, width=1, height=1):
    return [
        {"version": 1.3, "people": [openpose_person(xyz, sure, width, height)]}
        for xyz, sure in zip(clip.xyz, clip.confidence, strict=True)
    ]


def zipped(files):
    """Names and bytes -> a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def openpose_zip(frames):
    names = {f"clip/clip_{i:012d}_keypoints.json": json.dumps(frame) for i, frame in enumerate(frames)}
    return zipped({"clip/": b"", **names})


def pose_header(version, components, width=640, height=480, form="XYZC"):
    def text(words):
        return struct.pack("<H", len(words)) + words.encode()

    out = struct.pack("<fHHHH", version, width, height, 0, len(components))
    for name, points in components.items():
        out += text(name) + text(form) + struct.pack("<HHH", len(points), 0, 0) + b"".join(map(text, points))
    return out


def pose_file(clip, version=0.2, people=1, width=640, height=480):
    """A HOLISTIC_75 clip as `.pose`; people after the first are not sure of anything."""
    names = {"POSE_LANDMARKS": "pose", "LEFT_HAND_LANDMARKS": "left_hand", "RIGHT_HAND_LANDMARKS": "right_hand"}
    components = {
        component: [
            joint.removeprefix(f"{part}_").upper().replace("INDEX_MCP", "INDEX_FINGER_MCP")
            for joint in HOLISTIC_75.joints[holistic.PARTS[part]]
        ]
        for component, part in names.items()
    }
    points = np.zeros((len(clip), people, 75, 3), "<f4")
    points[:, 0] = np.nan_to_num(clip.xyz) * (width, height, 1)
    sure = np.zeros((len(clip), people, 75), "<f4")
    sure[:, 0] = clip.confidence
    rate = struct.pack("<HH", round(clip.fps), len(clip) % 65536)
    if version == 0.2:
        rate = struct.pack("<fI", clip.fps, len(clip))
    header = pose_header(version, components, width, height)
    return header + rate + struct.pack("<H", people) + points.tobytes() + sure.tobytes()


def shrec_lines(points, separator=" "):
    """(T, V, C) as text, a frame a line."""
    return "\n".join(separator.join(repr(float(v)) for v in frame.ravel()) for frame in points).encode()


def ntu_file(frames, bodies):
    """A `.skeleton` of so many frames; bodies: (id, frame numbers, picture-wise xyz (F, 25, 3)), tracked throughout."""
    lines = [str(frames)]
    for frame in range(frames):
        here = [(name, turned(xyz[list(at).index(frame)])) for name, at, xyz in bodies if frame in at]
        lines.append(str(len(here)))
        for name, xyz in here:
            lines += [f"{name} 0 1 1 1 1 0 0.02 -0.01 2", "25"]
            lines += [" ".join([*(repr(float(v)) for v in point), *["0.5"] * 8, "2"]) for point in xyz]
    return "\n".join(lines).encode()


def person_25(frames, seed=0, wide=0.4, at=0.0):
    """(F, 25, 3) somebody who stands and moves a little; wide: width of the body, which is 1 high."""
    random = np.random.default_rng(seed)
    still = random.uniform(0, 1, (1, 25, 3)) * (wide, 1, 0.1)
    still[:, 0], still[:, 1] = (0, 0, 0), (wide, 1, 0.1)
    moves = random.normal(0, 0.01, (frames, 1, 3)) * np.ones((1, 25, 1))
    return (still + moves + (at, 0, 2)).astype(np.float32)


def parquet_file(clip, drop=(), **changes):
    """A HOLISTIC_75 clip as Kaggle's sets write one, with one point of a face."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: [] for name in ("frame", "row_id", "type", "landmark_index", "x", "y", "z")}
    for frame, xyz in enumerate(clip.xyz, start=20):
        parts = [(part, i, point) for part, where in holistic.PARTS.items() for i, point in enumerate(xyz[where])]
        for part, i, point in [("face", 0, np.full(3, 0.5)), *parts]:
            values = [None if np.isnan(v) else float(v) for v in point]
            for name, value in zip(columns, (frame, f"{frame}-{part}-{i}", part, i, *values), strict=True):
                columns[name].append(value)
    columns |= {name: [value] * len(columns["frame"]) for name, value in changes.items()}
    out = io.BytesIO()
    parquet.write_table(pa.table({name: values for name, values in columns.items() if name not in drop}), out)
    return out.getvalue()
