"""Readers of sets that are not here, on small files in their form."""

import numpy as np
import pytest

from landmarks import COCO_17, HOLISTIC_75, NTU_25, FormatError, LandmarkSequence
from landmarks.formats import npz
from tests.fakes import signer
from tests.recordings import ntu_file, parquet_file, person_25, shrec_lines
from training import datasets, labels
from training.clip import Clip
from training.datasets import archives, hands_static, ntu, one_hand, sca_stgcn, shrec17
from training.datasets.archives import ArchiveError, Sample

RANDOM = np.random.default_rng(0)


def test_an_unknown_set_and_a_missing_folder_say_so(tmp_path):
    with pytest.raises(datasets.UnknownDataset, match="asl-words"):
        datasets.load(tmp_path, ("asl",))
    with pytest.raises(datasets.UnknownDataset, match="choose from sfinge3d, shrec21"):
        datasets.load_streams(tmp_path, ("asl-words",))
    with pytest.raises(datasets.DataMissing, match="asl-words is not there"):
        datasets.load(tmp_path, ("asl-letters",))


# NTU


def ntu_folder(folder, **files):
    (folder / "ntu" / "part").mkdir(parents=True)
    for name, content in files.items():
        (folder / "ntu" / "part" / f"{name}.skeleton").write_bytes(content)
    return folder


def test_an_ntu_recordings_name_says_who_where_and_what(tmp_path):
    two = [(name, range(20), person_25(20, seed, at=seed)) for seed, name in enumerate("ab")]
    ntu_folder(tmp_path, S001C002P003R002A013=ntu_file(20, two), S001C001P001R001A050=b"3\n0\n0\n0\n")
    (clip,) = datasets.load(tmp_path, ("ntu",))
    assert (clip.label, clip.person, clip.view, clip.take) == ("A013", 1003, 2, "ntu/S001C002P003R002A013")
    assert (clip.sequence.layout, len(clip.sequence)) == (NTU_25, 20)
    pair = ntu.load(tmp_path, people=2)
    assert [one.take for one in pair] == [clip.take] * 2
    np.testing.assert_array_equal(pair[0].sequence.xyz, clip.sequence.xyz)


def test_a_broken_ntu_file_is_named(tmp_path):
    ntu_folder(tmp_path, S001C002P003R002A013=b"3\n1\n")
    with pytest.raises(FormatError, match=r"S001C002P003R002A013\.skeleton: the file ends"):
        datasets.load(tmp_path, ("ntu",))
    with pytest.raises(ValueError, match="not named like"):
        datasets.load(ntu_folder(tmp_path / "other", wave=b""), ("ntu",))


# SCA-STGCN


def sca_folder(folder, truth, **videos):
    (folder / "sca-stgcn").mkdir(parents=True, exist_ok=True)
    (folder / "sca-stgcn" / "groundtruth.txt").write_text(truth)
    for name, frames in videos.items():
        clip = signer([True] * frames, fps=25)
        (folder / "sca-stgcn" / f"{name}.npz").write_bytes(npz.write(clip))
    return folder


def truth_of(video, marks):
    """`S.P` -> lines that label frames 0 and 2."""
    return "".join(f"{video} {i} {mark}\n" for i, mark in enumerate(marks) if mark != ".")


def test_a_windows_label_is_what_most_of_its_labelled_frames_have(tmp_path):
    (video,) = sca_stgcn.videos(sca_folder(tmp_path, truth_of("v", "S.SP..nP.."), v=10))
    # Of P and S once each, and of P and n, the first in the alphabet.
    assert dict(video.windows(frames=4)) == {0: "S", 1: "P", 2: "P", 3: "P", 4: "P", 5: "P", 6: "P"}
    assert dict(video.windows(frames=3)) == {0: "S", 1: "P", 2: "P", 3: "P", 4: "n", 5: "P", 6: "P", 7: "P"}
    assert dict(video.windows(frames=2, stride=4)) == {0: "S", 4: sca_stgcn.UNKNOWN, 8: sca_stgcn.UNKNOWN}


def test_a_short_video_has_no_window(tmp_path):
    (video,) = sca_stgcn.videos(sca_folder(tmp_path, truth_of("v", "S"), v=10))
    assert list(video.windows(frames=11)) == []


def test_windows_become_clips_of_one_take_and_classes_their_labels(tmp_path):
    sca_folder(tmp_path, truth_of("a", "S" * 30) + truth_of("b", "n" * 30), a=30, b=30)
    clips = datasets.load(tmp_path, ("sca-stgcn",))
    assert [(clip.take, clip.label) for clip in clips] == [("sca-stgcn/a", "S")] * 2 + [("sca-stgcn/b", "other")] * 2
    assert {len(clip.sequence) for clip in clips} == {25}
    assert len({clip.person for clip in clips}) == 2
    assert {clip.label for clip in sca_stgcn.load(tmp_path, classes=None)} == {"S", "n"}


def test_labels_in_another_case_are_an_error_and_not_all_negative(tmp_path):
    sca_folder(tmp_path, truth_of("a", "s" * 30) + truth_of("b", "n" * 30), a=30, b=30)
    with pytest.raises(labels.EmptyClass, match=r"labelled S .* there are: s \(2\), n \(2\); did you mean s\?"):
        datasets.load(tmp_path, ("sca-stgcn",))


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        ("v 0", "line 1 of the ground truth must be"),
        ("v zero S", "line 1"),
        ("v 0 S\n\nv 0 P", "line 3 of the ground truth labels frame 0 of v again"),
        ("v 10 S", "labels frame 10 of v, which has 10 frames"),
        ("V 0 S", "labels none of the videos: it names V; the files are v"),
    ],
)
def test_ground_truth_that_does_not_fit_is_refused(tmp_path, truth, says):
    with pytest.raises(ValueError, match=says):
        sca_stgcn.videos(sca_folder(tmp_path, truth, v=10))


def test_one_text_of_ground_truth_is_needed(tmp_path):
    sca_folder(tmp_path, "v 0 S", v=10)
    (tmp_path / "sca-stgcn" / "more.txt").write_text("")
    with pytest.raises(ValueError, match="one text of ground truth, it holds 2"):
        sca_stgcn.videos(tmp_path)


# SHREC


def test_shrec17_is_labelled_by_gesture_or_by_gesture_and_finger(tmp_path):
    rows = {"train": (3, 1, 7, 2, 3, 5, 9), "test": (14, 2, 28, 5, 14, 28, 4)}
    for side, (g, f, s, e, *_, frames) in rows.items():
        place = tmp_path / "shrec17" / f"gesture_{g}/finger_{f}/subject_{s}/essai_{e}"
        place.mkdir(parents=True)
        (place / "skeletons_world.txt").write_bytes(shrec_lines(RANDOM.normal(size=(frames, 22, 3))))
        (tmp_path / "shrec17" / f"{side}_gestures.txt").write_text(" ".join(map(str, rows[side])) + "\n")
    clips = datasets.load(tmp_path, ("shrec17",))
    assert [(c.label, c.person, len(c.sequence)) for c in clips] == [("expand", 307, 9), ("shake", 328, 4)]
    assert [c.label for c in datasets.load(tmp_path, ("shrec17-28",))] == ["expand, one finger", "shake, whole hand"]
    assert shrec17.sides(tmp_path) == {"train": [clips[0].take], "test": [clips[1].take]}


def test_shrec21_streams_carry_their_events(tmp_path):
    place = tmp_path / "shrec21" / "training_set"
    (place / "sequences").mkdir(parents=True)
    (place / "sequences" / "7.txt").write_bytes(shrec_lines(RANDOM.normal(size=(100, 20, 7)), ";"))
    (place / "annotations.txt").write_text("7;TAP;50;75;ONE;10;20;\n\n")
    (stream,) = datasets.load_streams(tmp_path, ("shrec21",))
    assert [(e.label, e.start_s, e.end_s) for e in stream.events] == [("ONE", 0.2, 0.4), ("TAP", 1.0, 1.5)]
    assert (stream.take, round(stream.sequence.fps)) == ("shrec21/training_set/7", 50)
    (place / "annotations.txt").write_text("7;TAP;50\n")
    with pytest.raises(ValueError, match=r"annotations\.txt, line 1"):
        datasets.load_streams(tmp_path, ("shrec21",))


# Kaggle


def test_asl_signs_are_read_by_their_list(tmp_path):
    pytest.importorskip("pyarrow")
    place = tmp_path / "asl-signs"
    (place / "files").mkdir(parents=True)
    (place / "files" / "1.parquet").write_bytes(parquet_file(signer([True] * 3)))
    header = "path,participant_id,sequence_id,sign\n"
    (place / "train.csv").write_text(header + "files/1.parquet,26734,1,blow\nfiles/2.parquet,26734,2,wait\n")
    (clip,) = datasets.load(tmp_path, ("asl-signs",))
    assert (clip.label, clip.person, clip.take, len(clip.sequence)) == ("blow", 26734, "asl-signs/26734/1", 3)


# Archives


def archive(folder, *samples):
    (folder / "archives").mkdir(parents=True, exist_ok=True)
    archives.write(folder / "archives" / "made.npz", list(samples))
    return folder


def test_an_archive_comes_back(tmp_path):
    keypoint = RANDOM.normal(size=(2, 5, 17, 2)).astype(np.float16)
    samples = [
        Sample("a", 3, keypoint, np.ones((2, 5, 17)), (640, 480)),
        Sample("b", -1, keypoint[:1, :2], np.ones((1, 2, 17))),
    ]
    archives.write(tmp_path / "a.npz", samples)
    back = archives.read(tmp_path / "a.npz")
    for one, other in zip(samples, back, strict=True):
        assert (one.name, one.label, one.size) == (other.name, other.label, other.size)
        np.testing.assert_array_equal(one.keypoint, other.keypoint)
        np.testing.assert_array_equal(one.score, other.score)


def test_pixels_become_shares_and_no_score_is_unseen(tmp_path):
    keypoint = np.full((1, 4, 17, 2), 240.0)
    score = np.full((1, 4, 17), 0.5)
    keypoint[0, 0, 3], score[0, 0, 3] = 0, 0
    (clip,) = datasets.load(archive(tmp_path, Sample("v", 2, keypoint, score, (640, 480))), ("archives",))
    assert (clip.label, clip.source, clip.take, clip.person, clip.view) == ("2", "made", "made/v", 0, None)
    assert clip.sequence.layout == COCO_17
    assert clip.sequence.xyz[0, 0].tolist() == [0.375, 0.5, 0.0]
    assert (clip.sequence.aspect, clip.sequence.confidence[0, 0]) == (640 / 480, 0.5)
    assert clip.sequence.seen.sum() == 4 * 17 - 1


def test_kinects_bodies_are_turned_as_ntus_own_files_are(tmp_path):
    xyz = person_25(20)
    ntu_folder(tmp_path, S001C002P003R002A013=ntu_file(20, [("a", range(20), xyz)]))
    (own,) = datasets.load(tmp_path, ("ntu",))
    raw = xyz * np.float32([-1, -1, 1])
    (clip,) = datasets.load(archive(tmp_path, Sample("S001C002P003R002A013", 12, raw[None])), ("archives",))
    np.testing.assert_allclose(clip.sequence.xyz, own.sequence.xyz, rtol=1e-6)
    assert (clip.person, clip.view) == (own.person, own.view) == (1003, 2)


def test_labels_may_be_named_beside_an_archive(tmp_path):
    archive(tmp_path, Sample("v", 1, np.ones((1, 2, 17, 2))))
    (tmp_path / "archives" / "made.txt").write_text("drink\neat\n")
    assert datasets.load(tmp_path, ("archives",))[0].label == "eat"
    (tmp_path / "archives" / "made.txt").write_text("drink\n")
    with pytest.raises(ArchiveError, match="has 1 labels, v is labelled 1"):
        datasets.load(tmp_path, ("archives",))


def test_two_people_are_two_clips_of_one_take(tmp_path):
    keypoint = np.stack([np.ones((3, 17, 2)), np.full((3, 17, 2), 2.0), np.zeros((3, 17, 2))])
    archive(tmp_path, Sample("v", 1, keypoint))
    assert len(archives.load(tmp_path)) == 1
    assert [clip.take for clip in archives.load(tmp_path, people=3)] == ["made/v", "made/v"]  # the third is nobody


def test_what_is_no_archive_says_so(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, keypoint=np.zeros((2, 17, 2)))
    with pytest.raises(ArchiveError, match="no archive of"):
        archives.read(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(ArchiveError, match="no archive of"):
        archives.read(path)
    with pytest.raises(ArchiveError, match="differ in joints"):
        archives.write(path, [Sample("a", 0, np.ones((1, 1, 17, 2))), Sample("b", 0, np.ones((1, 1, 25, 2)))])
    with pytest.raises(ArchiveError, match="no samples"):
        archives.write(path, [])
    with pytest.raises(ArchiveError, match=r"must be \(M, T, V"):
        Sample("a", 0, np.ones((1, 17, 2)))


def test_every_reader_gives_sequences(tmp_path):
    archive(tmp_path, Sample("v", 1, np.ones((1, 2, 23, 3))))
    (clip,) = datasets.load(tmp_path, ("archives",))
    assert isinstance(clip.sequence, LandmarkSequence)
    assert clip.sequence.layout.name == "numbered_23"


# One hand


def test_a_path_without_a_hand_was_recorded_as_the_corner_and_is_unseen():
    path = np.linspace([0, 0], [0.2, 0.1], 16).astype(np.float32)
    assert hands_static.without_corner(path) is path
    gone = path.copy()
    gone[[3, 4, 9]] = (-0.4, -0.5)
    cleaned = hands_static.without_corner(gone)
    assert np.flatnonzero(np.isnan(cleaned[:, 0])).tolist() == [3, 4, 9]
    np.testing.assert_array_equal(np.delete(cleaned, [3, 4, 9], axis=0), np.delete(path, [3, 4, 9], axis=0))
    start = np.add(path, (0.4, 0.5))  # as it is recorded where the first frame shows no hand
    start[0] = 0
    assert np.flatnonzero(np.isnan(hands_static.without_corner(start.astype(np.float32))[:, 0])).tolist() == [0]


def test_shapes_that_two_recorders_have_are_left_out(tmp_path):
    own, shared, static = RANDOM.uniform(-1, 1, (3, 21, 2)).astype(np.float32)
    (tmp_path / "finger-paths").mkdir()
    np.savez(
        tmp_path / "finger-paths" / "hand-shapes.npz",
        xy=np.stack([own, shared, shared, static]),
        label=np.array(["a", "b", "c", "d"]),
        recorder=np.array([31, 31, 32, 32]),
    )
    assert [clip.label for clip in datasets.load(tmp_path, ("hand-shapes",))] == ["a", "d"]
    (tmp_path / "hands-static").mkdir()
    np.savetxt(tmp_path / "hands-static" / "keypoint-b.csv", [[0, *static.ravel()]], delimiter=",")
    assert [clip.label for clip in datasets.load(tmp_path, ("hand-shapes",))] == ["a"]


def test_hands_of_a_body_become_clips_of_their_own():
    xyz = RANDOM.uniform(0, 1, (10, 75, 3))
    xyz[:4, 33:54] = np.nan  # the left hand comes late
    xyz[2:, 54:] = np.nan  # the right one is hardly there
    clip = Clip(LandmarkSequence.of(HOLISTIC_75, xyz, fps=15, aspect=4 / 3), "hello", 7, "take", "set")
    (left,) = one_hand.hands([clip])
    assert (left.label, left.person, left.take, left.sequence.aspect) == ("hello", 7, "take/left", 4 / 3)
    np.testing.assert_allclose(left.sequence.xyz, xyz[4:, 33:54], rtol=1e-6)
