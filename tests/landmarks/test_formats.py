import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmarks import HOLISTIC_75, FormatError, LandmarkError, NoFrames, UnknownFormat, formats, holistic
from landmarks.formats import Given, npz
from tests.fakes import signer

CLIP = signer([True, False, True, True], fps=25)


def as_json_frames(clip):
    return [
        {"at_s": at_s} | {part: None if v is None else v.tolist() for part, v in holistic.split(xyz, sure).items()}
        for at_s, xyz, sure in zip(clip.at_s.tolist(), clip.xyz, clip.confidence, strict=True)
    ]


def as_wide_csv(clip):
    header = ["at_s"] + [f"{joint}_{axis}" for joint in clip.layout.joints for axis in "xyz"]
    rows = [[repr(at_s)] + ["" if np.isnan(v) else repr(float(v)) for v in xyz.ravel()] for at_s, xyz in clip]
    return "\n".join(",".join(row) for row in [header, *rows]).encode()


def as_long_csv(clip):
    lines = ["row_id,frame,type,landmark_index,x,y,z,at_s"]
    for frame, (at_s, xyz) in enumerate(clip):
        for part, where in holistic.PARTS.items():
            for index, point in enumerate(xyz[where]):
                cells = ",".join("" if np.isnan(v) else repr(float(v)) for v in point)
                lines.append(f"{frame}-{part}-{index},{frame},{part},{index},{cells},{at_s!r}")
    lines.append("0-face-0,0,face,0,0.5,0.5,0.0,0.0")
    return "\n".join(lines).encode()


WRITTEN = {
    "npz": npz.write(CLIP),
    "mediapipe-json": json.dumps({"width": 640, "height": 480, "frames": as_json_frames(CLIP)}).encode(),
    "mediapipe-json lines": "\n".join(json.dumps(frame) for frame in as_json_frames(CLIP)).encode(),
    "csv": as_wide_csv(CLIP),
    "csv long": as_long_csv(CLIP),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_gives_the_same_clip(name):
    assert formats.sniff(WRITTEN[name]) == name.split(" ")[0]
    clip = formats.read(WRITTEN[name])
    assert clip.layout == HOLISTIC_75
    np.testing.assert_array_equal(clip.xyz, CLIP.xyz)
    np.testing.assert_allclose(clip.at_s, CLIP.at_s)
    assert clip.aspect == pytest.approx(4 / 3)
    np.testing.assert_array_equal(clip.confidence > 0, CLIP.seen)


def archive(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def test_sca_stgcn_files_are_read_without_depth_time_or_face():
    pose = np.random.default_rng(0).random((3, 33, 2))
    clip = formats.read(archive(pose=pose, left_hand=np.zeros((3, 21, 2)), face=np.ones((3, 478, 2))), Given(fps=5))
    np.testing.assert_allclose(clip.xyz[:, :33, :2], pose, rtol=1e-6)
    assert (clip.xyz[:, :33, 2] == 0).all()
    assert not clip.seen[:, 33:].any()
    assert clip.at_s.tolist() == [0.0, 0.2, 0.4]


def test_mediapipes_own_spellings_are_read():
    point = {"x": 0.5, "y": 0.25, "z": 0.125, "visibility": 0.75}
    spelled = [
        {"poseLandmarks": [point] * 33, "timestampMs": 0},
        {"pose_landmarks": {"landmark": [point] * 33}, "right_hand_landmarks": None, "timestamp_ms": 40},
    ]
    clip = formats.read(json.dumps(spelled).encode())
    np.testing.assert_array_equal(clip.xyz[0], clip.xyz[1])
    assert clip.xyz[0, 0].tolist() == [0.5, 0.25, 0.125]
    assert clip.confidence[1, 0] == 0.75
    assert clip.at_s.tolist() == [0.0, 0.04]


def pickled():
    return archive(pose=np.array([{"a": 1}], dtype=object))


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("pose.npy", bytes(npz.MAX_BYTES + 1))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pickled(), "cannot be read"),
        (bomb(), "unpacks to"),
        (b"PK\x03\x04 torn", "cannot be read"),
        (archive(faces=np.zeros(3)), "none of pose, left_hand, right_hand"),
        (archive(pose=np.zeros((2, 32, 3))), "33 points"),
        (archive(pose=np.zeros((2, 33))), r"\(T, n, C\)"),
        (archive(pose=np.zeros((2, 33, 3)), left_hand=np.zeros((3, 21, 3))), "differ in length"),
        (archive(pose=np.zeros((2, 33, 3)), at_s=np.zeros(3)), "at_s must hold 2"),
        (archive(pose=np.zeros((2, 33, 3)), fps=np.array(-1)), "fps"),
        (archive(pose=np.zeros((2, 33, 3)), aspect=np.array(99)), "aspect"),
        (b'{"frames": 3}', "must be a list"),
        (b'{"frames": [{"pose": [[1, 2]]}]}', "frame 0: pose needs 33"),
        (b'{"frames": [{"pose": [[1, 2], [1]]}]}', "frame 0: pose must hold points of equal length"),
        (b'{"frames": [{"pose": [{"x": 1}]}]}', "x and y"),
        (b'{"frames": [{"pose": 7}]}', "list of points or null"),
        (b'{"frames": [{"at_s": "now"}]}', "at_s must be a number"),
        (b'{"frames": [{"at_s": 1}, {}]}', "frame 1 has no time"),
        (b"{torn", "cannot be read"),
        (b"[" * 100_000, "nested too deeply"),
        (b"at_s,nose_x,nose_y\n0,0.5", "line 2 has 2 cells"),
        (b"at_s,nose_x,nose_y\n0,half,1", "line 2: 'half' is not a number"),
        (b"at_s,tail_x,tail_y\n0,1,1", "no joint tail"),
        (b"frame,type,landmark_index,x,y\n0,foot,0,1,1", "line 2: type is"),
        (b"frame,type,landmark_index,x,y\n0,pose,33,1,1", "line 2: pose has no landmark 33"),
        (b"frame,type,landmark_index,x,y\n0,pose,,1,1", "pose has no landmark"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(data, says):
    with pytest.raises(LandmarkError, match=says):
        formats.read(data)


@pytest.mark.parametrize("data", [b'{"frames": []}', b"[]", archive(pose=np.zeros((0, 33, 3))), b"nose_x,nose_y\n"])
def test_a_file_without_frames_says_so(data):
    with pytest.raises(NoFrames):
        formats.read(data)


def test_too_many_frames_are_refused_before_memory_is_taken():
    with pytest.raises(FormatError, match="over the limit"):
        formats.read(b"[" + b"{}," * holistic.MAX_FRAMES + b"{}]")


def test_other_content_is_not_of_a_known_format():
    assert formats.sniff(b"hello") is None
    with pytest.raises(UnknownFormat, match="npz, mediapipe-json, pose"):
        formats.read(b"hello")


@given(st.sampled_from(sorted(WRITTEN)), st.integers(0, 10_000), st.binary(max_size=20), st.integers(0, 40))
@example("csv long", 60, b"nan", 1)
def test_damage_gives_a_clip_or_an_error_of_ours(name, at, patch, cut):
    data = WRITTEN[name]
    at %= len(data)
    damaged = data[:at] + patch + data[at + cut :]
    try:
        clip = formats.read(damaged)
    except LandmarkError:
        return
    assert len(clip) > 0
    assert np.isfinite(clip.at_s).all()
