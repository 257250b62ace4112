import json

import numpy as np
import pytest

from landmarks import HAND_21, HOLISTIC_75, LandmarkSequence
from training import datasets, labels, splits
from training.__main__ import main
from training.clip import Clip
from training.datasets.sca_stgcn import Video
from training.split_files import BadSplitFile, from_file, of_videos, to_file
from training.splits import EmptySide, Overlap, by_take, by_view, official

STILL = LandmarkSequence.of(HAND_21, np.zeros((2, 21, 3)), fps=15)


def clip(take, label="hello", person=0, view=None):
    return Clip(STILL, label, person, f"made/{take}", "made", view)


def takes(clips):
    return sorted(one.take for one in clips)


# By take


def test_takes_are_drawn_label_by_label():
    clips = [clip(f"{label}{i}", label) for label, n in (("a", 20), ("b", 10)) for i in range(n)]
    split = by_take(clips, (0.8, 0.1, 0.1), seed=1)
    count = [
        [sum(c.label == label for c in side) for label in "ab"] for side in (split.train, split.validation, split.test)
    ]
    assert count == [[16, 8], [2, 1], [2, 1]]
    assert takes(split.train) == takes(by_take(clips, seed=1).train) != takes(by_take(clips, seed=2).train)


def test_windows_of_one_take_stay_together():
    clips = [clip(i // 5) for i in range(100)]
    split = by_take(clips)
    assert {len(side) for side in (split.train, split.validation, split.test)} == {80, 10}


def test_shares_are_checked_and_a_side_without_a_share_may_be_empty():
    clips = [clip(i) for i in range(10)]
    assert by_take(clips, (0.8, 0, 0.2)).validation == ()
    with pytest.raises(ValueError, match="sum to 1"):
        by_take(clips, (0.8, 0.1, 0.2))
    with pytest.raises(EmptySide):
        by_take(clips[:2])


# By view, and official


def test_views_are_apart_and_persons_are_not():
    clips = [clip(f"{view}/{i}", person=i, view=view) for view in (1, 2, 3) for i in range(4)]
    split = by_view(clips, train=[1, 2], test=[3])
    assert (len(split.train), len(split.validation), len(split.test)) == (8, 0, 4)
    assert {c.view for c in split.test} == {3}
    split = by_view(clips, train=[1, 2], test=[3], validation=0.25)
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 4)
    with pytest.raises(Overlap, match="view 3 is named"):
        by_view(clips, train=[1, 3], test=[3])


def ntu(setup, camera, person):
    return clip(f"S{setup:03}C{camera:03}P{person:03}R001A001", person=1000 + person, view=camera)


@pytest.mark.parametrize(
    ("name", "trains", "tests"),
    [
        ("ntu60-xsub", ntu(1, 1, 19), ntu(1, 1, 20)),
        ("ntu60-xview", ntu(1, 2, 1), ntu(1, 1, 1)),
        ("ntu120-xsub", ntu(18, 1, 103), ntu(18, 1, 104)),
        ("ntu120-xset", ntu(2, 1, 1), ntu(3, 1, 1)),
        ("nw-ucla", clip("v1", view=1), clip("v3", view=3)),
        ("utd-mhad", clip("1", person=203), clip("2", person=204)),
    ],
)
def test_official_protocols_say_who_is_trained_on(name, trains, tests):
    split = official(name, [tests, trains])
    assert (split.train, split.validation, split.test) == ((trains,), (), (tests,))


@pytest.mark.parametrize(("name", "persons", "train"), [("ntu60-xsub", 40, 20), ("ntu120-xsub", 106, 53)])
def test_the_lists_of_subjects_have_their_published_length(name, persons, train):
    split = official(name, [ntu(1, 1, person) for person in range(1, persons + 1)])
    assert (len(split.train), len(split.test)) == (train, persons - train)


def test_validation_persons_are_apart_from_those_that_are_trained_on():
    clips = [clip(f"{person}/{i}", person=200 + person) for person in range(1, 9) for i in range(3)]
    split = official("utd-mhad", clips, validation=0.25)
    assert {c.person for c in split.train} | {c.person for c in split.validation} == {201, 203, 205, 207}
    assert len({c.person for c in split.validation}) == 1


def test_an_unknown_protocol_and_a_take_of_another_set_say_so():
    with pytest.raises(ValueError, match=r"choose from .*ntu120-xset"):
        official("ntu", [clip("a")])
    with pytest.raises(ValueError, match="not named as NTU"):
        official("ntu60-xsub", [clip("a")])


def test_one_signer_alone_is_cut_by_takes():
    clips = [clip(f"{person}-{i}", person=person) for person in (1, 2) for i in range(20)]
    split = official("asl-words-1-2", clips, 0.1)
    assert {c.person for c in (*split.train, *split.validation)} == {1}
    assert {c.person for c in split.test} == {2}
    assert (len(split.train), len(split.validation), len(split.test)) == (18, 2, 20)
    assert {c.person for c in official("asl-words-2-1", clips).test} == {1}


def test_real_benchmarks_split_as_published(data):
    ucla = official("nw-ucla", datasets.load(data, ("nw-ucla",)))
    assert (len(ucla.train), len(ucla.test)) == (1020, 464)
    utd = official("utd-mhad", datasets.load(data, ("utd-mhad",)))
    assert (len(utd.train), len(utd.test)) == (431, 430)


# Files


def test_a_split_comes_back_from_its_file(tmp_path):
    clips = [clip(f"{label}{i}", label) for label in "ab" for i in range(10)]
    split = by_take(clips)
    to_file(split, tmp_path / "split.json", by="take")
    back = from_file(tmp_path / "split.json", clips)
    assert (back.train, back.validation, back.test, back.apart) == (
        split.train,
        split.validation,
        split.test,
        ("take",),
    )
    content = json.loads((tmp_path / "split.json").read_text())
    assert content["meta"] == {"by": "take", "apart": ["take"]}
    assert content["splits"]["val"]["counts"] == {"a": 1, "b": 1}


def test_sca_stgcns_own_files_name_videos_without_their_set(tmp_path):
    path = tmp_path / "split.json"
    sides = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    counts = {"S": 1, "nonS": 2}
    path.write_text(json.dumps({"splits": {k: {"videos": v, "counts": counts} for k, v in sides.items()}}))
    split = from_file(path, [clip(name) for name in "abcde"])  # e is left out
    assert [takes(side) for side in (split.train, split.validation, split.test)] == [
        ["made/a", "made/b"],
        ["made/c"],
        ["made/d"],
    ]


NOBODY = '"val": {"videos": []}, "test": {"videos": []}'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "no split file"),
        ("[]", "no split file"),
        ('{"splits": {"train": {"videos": ["a"]}}}', "no split file"),
        (
            '{"splits": {"train": {"videos": ["x"]}, "val": {"videos": []}, "test": {"videos": []}}}',
            "names x, of which",
        ),
        (
            '{"splits": {"train": {"videos": ["b"]}, "val": {"videos": []}, "test": {"videos": []}}}',
            "there are 2 takes",
        ),
        (
            f'{{"meta": {{"apart": ["label"]}}, "splits": {{"train": {{"videos": []}}, {NOBODY}}}}}',
            "may name person, take",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, content, says):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(BadSplitFile, match=says):
        from_file(tmp_path / "split.json", [clip("a"), clip("1/b"), clip("2/b")])


def test_a_video_on_two_sides_of_a_file_is_refused(tmp_path):
    sides = {side: {"videos": ["a"]} for side in ("train", "val", "test")}
    (tmp_path / "split.json").write_text(json.dumps({"splits": sides}))
    with pytest.raises(Overlap, match="take made/a"):
        from_file(tmp_path / "split.json", [clip("a")])


# SCA-STGCN's builder


def video(name, marks):
    sequence = LandmarkSequence.of(HOLISTIC_75, np.zeros((len(marks), 75, 3)), fps=25)
    labelled = [i for i, mark in enumerate(marks) if mark != "."]
    return Video(name, sequence, np.array(labelled, np.intp), tuple(marks[i] for i in labelled))


def test_any_and_majority_count_windows_differently():
    videos = [video(name, "SSSPPP") for name in "abc"]
    thirds = (1 / 3, 1 / 3, 1 / 3)
    some, most = (
        of_videos(videos, rule=rule, shares=thirds, frames=4)["per_video"]["a"] for rule in ("any", "majority")
    )
    assert some == {"frames": 6, "windows": 3, "S_windows": 3, "nonS_windows": 0}
    assert most == {"frames": 6, "windows": 3, "S_windows": 1, "nonS_windows": 2}  # S and P twice each is P


def test_videos_that_sign_and_those_that_do_not_are_cut_by_name():
    videos = [video(f"s{i:02}", "S" * 6) for i in range(20)] + [video(f"n{i:02}", "n" * 6) for i in range(10)]
    content = of_videos(videos, frames=6)
    assert content["splits"]["val"]["videos"] == ["n08", "s16", "s17"]
    assert content["splits"]["test"] == {"videos": ["n09", "s18", "s19"], "counts": {"S": 2, "nonS": 1}}
    assert content["splits"]["train"]["counts"] == {"S": 16, "nonS": 8}
    assert content["meta"]["rule"] == "any"


def test_every_side_gets_a_video_that_signs():
    videos = [video(f"s{i}", "S" * 6) for i in range(3)] + [video(f"n{i}", "n" * 6) for i in range(9)]
    sides = of_videos(videos, frames=6)["splits"]
    assert {name: side["counts"]["S"] for name, side in sides.items()} == {"train": 1, "val": 1, "test": 1}
    with pytest.raises(EmptySide, match="2 videos have a window of signing; 3 sides"):
        of_videos(videos[1:], frames=6)


def test_labels_in_another_case_are_an_error():
    with pytest.raises(labels.EmptyClass, match="did you mean S"):
        of_videos([video("a", "SSSS")], signing=["s"], frames=4)
    with pytest.raises(ValueError, match="any or majority"):
        of_videos([video("a", "SSSS")], rule="most", frames=4)


# The command


def test_the_command_writes_a_file_that_is_read_back(tmp_path, tiny, capsys):
    out = tmp_path / "split.json"
    arguments = ["split", "asl-words", "--data", str(tiny), "--out", str(out)]
    assert main([*arguments, "--by", "person", "--validation", "2", "--test", "3"]) == 0
    assert "train: 12 videos, 12 clips" in capsys.readouterr().out
    split = from_file(out, datasets.load(tiny, ("asl-words",)))
    assert [{c.person for c in side} for side in (split.train, split.validation, split.test)] == [{1}, {2}, {3}]
    assert split.apart == ("person", "take")
    assert main([*arguments, "--by", "person", "--test", "9"]) == 2
    assert "EmptySide" in capsys.readouterr().err


def test_the_command_builds_sca_stgcns_split(tmp_path, capsys):
    from tests.training.datasets.test_written import sca_folder, truth_of

    truth = "".join(truth_of(name, "S" * 30 if name in "abc" else "n" * 30) for name in "abcde")
    folder = sca_folder(tmp_path, truth, **dict.fromkeys("abcde", 30))
    out = tmp_path / "split.json"
    arguments = ["split", "sca-stgcn", "--by", "signing", "--data", str(folder), "--out", str(out)]
    assert main([*arguments, "--rule", "majority", "--shares", "0.34", "0.33", "0.33"]) == 0
    split = from_file(out, datasets.load(folder, ("sca-stgcn",)))
    assert {side: {c.label for c in getattr(split, side)} >= {"S"} for side in splits.SIDES} == dict.fromkeys(
        splits.SIDES, True
    )
    assert main([*arguments, "--signing", "s"]) == 2
    assert "did you mean S" in capsys.readouterr().err
