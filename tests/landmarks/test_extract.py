import struct

import cv2
import numpy as np
import pytest

from landmarks import HOLISTIC_75, FormatError, LandmarkSequence, NoFrames, NoPerson, NotAVideo, formats
from landmarks.__main__ import main
from landmarks.extract import (
    Extractor,
    decode_picture,
    extract_video,
    extract_videos,
    frame_count,
    looks_like_video,
    read_video,
)


def write_video(path, pictures, fps=30.0):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def turned_by_flag(path):
    """Sets the rotation in an MP4's track header to a quarter turn clockwise; the pixels stay as they are."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def extractor():
    with Extractor() as extractor:
        yield extractor


@pytest.fixture
def left_white():
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, :32] = 255
    return picture


def test_a_rotation_flag_is_obeyed(tmp_path, left_white):
    path = turned_by_flag(write_video(tmp_path / "turned.mp4", [left_white] * 3))
    (_, picture), *_ = read_video(path)
    assert picture.shape == (96, 48, 3)
    assert picture[:28].mean() > 200
    assert picture[36:].mean() < 50


def test_times_come_from_the_container(tmp_path, left_white):
    path = write_video(tmp_path / "slow.mp4", [left_white] * 5, fps=8)
    np.testing.assert_allclose([at_s for at_s, _ in read_video(path)], np.arange(5) / 8, atol=1e-3)


def test_a_variable_rate_is_kept(clips):
    times = np.array([at_s for at_s, _ in read_video(clips / "asl_brother.mkv")])
    np.testing.assert_allclose(np.diff(times[:4]), [0.067, 0.033, 0.033], atol=2e-3)
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\n"])
def test_what_is_no_video_says_so(tmp_path, content, extractor):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert not looks_like_video(content)
    with pytest.raises(NotAVideo, match=r"clip\.mp4 is no video"):
        extract_video(path, extractor)


def test_a_broken_container_says_so(tmp_path, extractor):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    with pytest.raises(NotAVideo, match="cannot be decoded"):
        extract_video(path, extractor)


def test_a_video_of_nobody_says_so(tmp_path, extractor):
    noise = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    with pytest.raises(NoPerson, match=r"nobody\.mp4"):
        extract_video(write_video(tmp_path / "nobody.mp4", list(noise)), extractor)


def test_a_video_that_holds_no_frames_says_so(tmp_path, left_white, extractor):
    path = write_video(tmp_path / "empty.mp4", [left_white] * 2)
    data = bytearray(path.read_bytes())
    body = data.index(b"mdat") + 4
    data[body : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - body)
    path.write_bytes(data)
    with pytest.raises(NoFrames, match=r"empty\.mp4"):
        extract_video(path, extractor)


def test_a_video_over_the_limit_is_refused(tmp_path, left_white, extractor):
    path = write_video(tmp_path / "long.mp4", [left_white] * 30)
    with pytest.raises(FormatError, match=r"over 0\.5 s"):
        extract_video(path, extractor, max_duration_s=0.5)


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp"])
def test_pictures_are_decoded(kind, left_white):
    picture = decode_picture(cv2.imencode(kind, left_white)[1].tobytes())
    assert picture.shape == left_white.shape
    assert np.abs(picture.astype(int) - left_white).mean() < 5


def test_a_picture_that_is_none_or_too_large_is_refused(left_white):
    with pytest.raises(FormatError, match="no JPEG, PNG, WEBP"):
        decode_picture(b"hello")
    with pytest.raises(FormatError, match="96 x 48 pixels"):
        decode_picture(cv2.imencode(".png", left_white)[1].tobytes(), max_pixels=100)
    torn = cv2.imencode(".webp", left_white)[1].tobytes()[:-30]
    with pytest.raises(FormatError, match=r"broken|no JPEG"):
        decode_picture(torn)


@pytest.mark.slow
def test_a_real_signer_is_found_and_no_state_is_left_behind(clips, extractor):
    path = clips / "asl_hungry.mkv"
    done = []
    first = extract_video(path, extractor, on_frame=done.append)
    assert first.layout == HOLISTIC_75
    assert len(first) == frame_count(path) == len(done) == 49
    assert first.aspect == pytest.approx(4 / 3)
    assert first.seen[:, HOLISTIC_75.indices("nose")].all()
    assert first.seen[:, HOLISTIC_75.indices("left_hand_wrist")].mean() > 0.9
    again = extract_video(path, extractor)
    np.testing.assert_allclose(again.xyz, first.xyz, atol=1e-5)


@pytest.mark.slow
def test_several_files_are_done_side_by_side_and_failures_stay_alone(clips, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"hello")
    paths = [clips / "asl_eat.mkv", bad, clips / "nosign_head-pose-face-detection-female.mp4"]
    found = dict(extract_videos(paths, processes=2))
    assert {path: type(result) for path, result in found.items()} == {
        paths[0]: LandmarkSequence,
        bad: NotAVideo,
        paths[2]: LandmarkSequence,
    }


@pytest.mark.slow
def test_the_command_writes_what_the_service_reads(clips, tmp_path, capsys):
    missing = tmp_path / "missing.mkv"
    assert main(["extract", str(missing), "--out", str(tmp_path)]) == 1
    assert "missing.mkv" in capsys.readouterr().err
    assert main(["extract", str(clips / "asl_eat.mkv"), "--out", str(tmp_path)]) == 0
    clip = formats.read((tmp_path / "asl_eat.mkv.npz").read_bytes())
    assert len(clip) == 47
    assert clip.aspect == pytest.approx(4 / 3)
