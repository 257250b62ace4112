import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import figures, material, scorecard
from bench.__main__ import main
from bench.material import FPS, Material, on_holistic
from bench.perturb import PERTURBATIONS
from bench.realtime import Answer, Replayed, Said
from landmarks import HAND_21, HOLISTIC_75, INDEX_TIP, JointMap, LandmarkSequence, find_layout
from landmarks.formats import npz
from tests import fakes, graphs
from tests.training.conftest import body, waving
from training.clip import Clip
from training.online_metrics import Event
from training.tasks.signing import Signing, SigningConfig

DATA = Path("../shared/data")
TASK = Signing(SigningConfig(), find_layout("sign_27"), 8, FPS, 1.0)

MANIFEST = fakes.manifest(fps=FPS)


def a_take(label="wave", person=3, take="a", frames=20, seed=0):
    random = np.random.default_rng(seed)
    values = (waving if label != "none" else body)(random, frames)
    xyz = np.concatenate([values[:, :132].reshape(frames, 33, 4)[..., :3], values[:, 132:].reshape(frames, 42, 3)], 1)
    return Clip(LandmarkSequence.of(HOLISTIC_75, xyz, fps=FPS, aspect=4 / 3), label, person, take, "made")


@pytest.fixture
def asked(tmp_path):
    """A folder of one model that knows the truth, another beside it, and recipes and data of three persons.

    The truth stands in the nose: at x = 0.9 who waves, at 0.1 who rests; the model sees it a frame or two later.
    """
    random, rows = np.random.default_rng(0), []
    for person in (1, 2, 3):
        for label, maker, nose in (("wave", waving, 0.9), ("none", body, 0.1)):
            for take in range(6):
                values = maker(random, 20)
                values[:, 0] = nose * 3 / 4
                rows.append((values, label, person, take))
    values, labels, persons, takes = zip(*rows, strict=True)
    (tmp_path / "asl-words").mkdir()
    about = {"label": np.array(labels), "signer": np.array(persons), "take": np.array(takes)}
    np.savez(tmp_path / "asl-words" / "words.npz", xyz=np.stack(values), **about)
    (tmp_path / "models").mkdir()
    manifest = replace(fakes.manifest("oracle", fps=FPS), task="signing")
    graphs.leaky(tmp_path / "models" / "oracle.onnx", graphs.leaky_manifest(manifest))
    graphs.recurrent(tmp_path / "guess.onnx", graphs.leaky_manifest(replace(manifest, name="guess")))
    recipe = """
task = "signing"
[data]
sets = ["asl-words"]
[split]
validation = [2]
test = [3]
[window]
frames = 8
"""
    (tmp_path / "oracle.toml").write_text(f'name = "oracle"\n{recipe}')
    (tmp_path / "guess.toml").write_text(f'name = "guess"\n{recipe}')
    (tmp_path / "clips").mkdir()
    sequence = a_take(frames=60).sequence
    for name in ("asl_milk", "nosign_at_all"):
        (tmp_path / "clips" / f"{name}.mkv.npz").write_bytes(npz.write(replace(sequence, at_s=np.arange(60) / 30)))
    where = ["--models", str(tmp_path / "models"), "--recipes", str(tmp_path), "--folder", str(tmp_path)]
    return tmp_path, ["scorecard", *where, "--beside", str(tmp_path / "guess.onnx"), "--pace", "10", "--quick"]


def table(text, first):
    """Row name -> column -> number, of the first table whose header begins so."""
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if re.sub(r"\s+", " ", line).startswith(first))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[at:] if line.startswith("|")]
    header, _, *rows = cells[: next((i for i, line in enumerate(lines[at:]) if not line.startswith("|")), None)]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def number(cell):
    return float(cell.split()[0])


@pytest.mark.slow
def test_the_command_replays_through_the_server_and_finds_the_one_that_knows(asked, tmp_path):
    page = tmp_path / "scorecard.md"
    page.write_text("<!-- bench scorecard -->\n<!-- end -->\n")
    _, command = asked
    assert main([*command, "--write", str(page)]) == 0
    text = page.read_text()
    assert "12 of 12 takes of persons 3" in text
    quality = table(text, "| | accuracy")
    assert list(quality) == ["oracle", "guess", "a hand is visible", "wrist motion energy"]
    assert number(quality["oracle"]["PR-AUC"]) > 0.99 > number(quality["guess"]["PR-AUC"])
    assert number(quality["a hand is visible"]["ROC-AUC"]) == 0.5
    events = table(text, "| | event F1")
    assert number(events["oracle"]["event F1"]) == number(events["oracle"]["told"]) == 1
    assert number(events["oracle"]["start off, s"]) < 0.1
    assert number(events["oracle"]["segment IoU"]) > 0.7
    assert number(events["a hand is visible"]["event F1"]) < 1  # who rests is seen, too
    assert table(text, "| | seconds")["all of these"]["oracle"].startswith("0: 0 (0 to ")
    assert table(text, "| | seconds")["takes alone"]["oracle"].startswith("0: 0 (0 to ")
    assert table(text, "| | signs told")["a hand is visible"]["signs told"] == "1 of 1"
    assert set(table(text, "| person")) == {"3"}
    assert set(table(text, "| | form")) == {"oracle", "guess"}
    assert table(text, "| | how much")["as recorded"]["oracle"].startswith("1.000")


def test_what_cannot_be_asked_is_said(asked, tmp_path, capsys):
    folder, command = asked
    recipe = (folder / "oracle.toml").read_text()
    other = (folder / "guess.toml").read_text().replace("test = [3]", "test = [1]")
    for changed, options, complaint in (
        ({}, ["--only", "nobody"], "no model of"),
        ({}, ["--write", str(folder / "oracle.toml")], "needs one line"),
        ({"guess.toml": other}, [], "does not keep the test persons of oracle"),
        ({"oracle.toml": recipe.replace("test = [3]", "test = [9]")}, [], "no clips for test"),
    ):
        for name, text in changed.items():
            (folder / name).write_text(text)
        assert main([*command, *options]) == 2
        assert complaint in capsys.readouterr().err


def test_every_model_that_has_targets_has_known_figures():
    parts = Said(np.zeros(1), np.array([[0.2, 0.8]], np.float32))
    known = set(figures.quality(figures.moments(material.alone([a_take()]), [parts], TASK, MANIFEST), TASK, 0.5))
    known |= {"accuracy_named", "recall_macro", "false_per_hour", "delay_s", "clips_hit", "clips_false"}
    assert {key for rows in scorecard.TARGETS.values() for _, key, _, _ in rows} <= known


def test_joined_streams_know_the_truth_of_every_frame():
    takes = [a_take("wave", take=str(i), seed=i) for i in range(3)] + [a_take("none", take="rest", seed=9)]
    unseen = takes[0].sequence.xyz.copy()
    unseen[:4, 33:] = np.nan
    takes[0] = replace(takes[0], sequence=replace(takes[0].sequence, xyz=unseen))
    (stream,) = material.joined(takes, TASK, 1e6)
    truth, at_s = stream.truth(TASK), stream.sequence.at_s
    bridge = round(material.BRIDGE_S * FPS)
    assert [piece.clip.label for piece in stream.pieces] == ["none", *["wave", "none"] * 3]
    assert len(truth) == len(at_s) == 7 * 20 + 6 * bridge
    assert np.allclose(np.diff(at_s), 1 / FPS)
    assert np.bincount(truth + 1).tolist() == [6 * bridge + 4, 4 * 20, 3 * 20 - 4]
    events = stream.events(TASK)
    lengths = sorted(round(FPS * (event.end_s - event.start_s)) for event in events)
    assert lengths == [15, 19, 19]
    for event in events:
        during = (at_s > event.start_s - 0.01) & (at_s < event.end_s + 0.01)
        assert (truth[during] == 1).all()


def test_who_never_rests_is_in_no_joined_stream_and_who_never_signs_only_in_the_background():
    takes = [a_take("wave", person=1, take="a"), *(a_take("none", person=2, take=str(i)) for i in range(25))]
    assert material.joined(takes, TASK, 1e6) == []
    streams = material.background(takes, TASK, 1e6)
    assert [len(one.pieces) for one in streams] == [10, 10, 5]
    assert {one.person for one in streams} == {2}
    assert not any(one.events(TASK) for one in streams)


def test_takes_are_cut_to_a_length_evenly():
    takes = [a_take("wave", person=p, take=f"{p} {i}") for p, count in ((1, 40), (2, 4)) for i in range(count)]
    assert material.within(takes, 1e6) == takes
    some = material.within(takes, 8 * 20 / FPS)
    assert sorted(take.person for take in some) == [1] * 4 + [2] * 4


@pytest.mark.parametrize(("layout", "frames"), [(HAND_21, 1), (HAND_21, 16), (INDEX_TIP, 16)])
def test_a_hand_alone_travels_as_a_right_hand_that_a_model_of_one_hand_sees(layout, frames):
    xy = np.random.default_rng(0).normal(0, 0.2, (frames, len(layout), 2))
    taken = LandmarkSequence.of(layout, xy, fps=FPS, aspect=4 / 3)
    stream = on_holistic(taken)
    seen = JointMap(HOLISTIC_75, layout.joints, "right")(stream.xyz)
    assert len(stream) == (frames if frames > 1 else round(material.HELD_S * FPS))
    np.testing.assert_allclose(
        seen - seen[:1, :1], (taken.square().xyz - taken.square().xyz[:1, :1])[: len(seen)], atol=1e-6
    ) if frames > 1 else None
    hand = JointMap(HOLISTIC_75, HAND_21.joints, "right")(stream.xyz)
    assert np.isfinite(hand).all()
    assert np.isnan(JointMap(HOLISTIC_75, HAND_21.joints, "left")(stream.xyz)).all()


@pytest.mark.slow
def test_steadied_streams_are_asked_of_the_same_persons(asked, tmp_path):
    page = tmp_path / "steady.md"
    page.write_text("<!-- bench steady -->\n<!-- end -->\n")
    where = asked[1][1:7]
    asks = ["--only", "oracle", "--seconds", "12", "--draws", "3", "--write", str(page)]
    assert main(["steady", *where, *asks]) == 0
    text = page.read_text()
    assert "Persons 3." in text
    assert table(text, "| | | none |")["as recorded"]["held 0.2 s"] == "1.000"
    assert table(text, "| | | as recorded")["oracle"]["as recorded"] == "none"
    assert main(["steady", *where, "--only", "nobody"]) == 2


def test_perturbations_do_what_they_say_and_leave_the_rest():
    random, sequence = np.random.default_rng(0), a_take(frames=30).sequence.square()
    changes = {name: one.change for name, one in PERTURBATIONS.items()}
    for name, there, back in (("mirrored", 1, 1), ("turned", 20, -20), ("size", 2, 0.5)):
        once = changes[name](sequence, there, random)
        assert not np.allclose(once.xyz, sequence.xyz, atol=0.01)
        np.testing.assert_allclose(changes[name](once, back, random).xyz, sequence.xyz, atol=1e-5)
    lost = changes["hands lost"](sequence, 0.5, random)
    hands = np.isnan(lost.xyz[:, 33:, 0])
    assert 0.3 < hands.mean() < 0.7
    np.testing.assert_array_equal(lost.xyz[:, :33], sequence.xyz[:, :33])
    flickering = np.isnan(changes["hands flicker"](a_take(frames=600).sequence.square(), 0.2, random).xyz[..., 0])
    assert not flickering[:, :33].any()
    for side in (slice(33, 54), slice(54, 75)):
        gone = flickering[:, side].all(axis=1)
        assert (gone == flickering[:, side].any(axis=1)).all()
        assert 0.1 < gone.mean() < 0.3
        stretches = [len(list(group)) for lost, group in itertools.groupby(gone.tolist()) if lost]
        assert all(length % 3 == 0 for length in stretches[:-1])  # frames, which are 0.2 s
    shaken = changes["noise"](sequence, 0.1, random).xyz - sequence.xyz
    assert shaken.std() == pytest.approx(0.1 * 0.4, rel=0.05)  # shoulders 0.3 wide in a picture of 4 to 3
    fast = changes["frame rate"](sequence, 60, random)
    assert (len(fast) - 1) == 4 * (len(sequence) - 1)
    assert fast.duration_s == pytest.approx(sequence.duration_s)


def heard(events, take=None):
    stream = material.alone([take or a_take(frames=31)])[0]
    return Replayed(stream, {"it": Answer({}, tuple(events), ())}, (), 0)


def test_events_are_held_to_the_true_ones():
    exact, none = Event("signing", 0.0, 2.0, 0.2), a_take("none", frames=31)
    found = figures.events(figures.recordings([heard([exact]), heard([exact])], "it", TASK))
    assert found["f1"] == found["iou"] == found["told"] == (1, 1, 1)
    assert found["delay_s"][0] == pytest.approx(0.2)
    found = figures.events(figures.recordings([heard([]), heard([exact], none)], "it", TASK))
    assert found["f1"][0] == found["told"][0] == 0
    assert found["false_per_hour"][0] == pytest.approx(3600 / 4)


def test_no_false_event_in_an_hour_still_may_be_four():
    assert figures.per_hour(0, 3600) == pytest.approx((0, 0, 3.689), abs=0.001)
    assert figures.per_hour(3, 1800) == pytest.approx((6, 1.237, 17.535), abs=0.001)  # Garwood 1936: 0.619 to 8.767


def test_intervals_draw_persons_where_there_are_enough():
    truth, said = np.zeros(40, np.intp), np.tile([[0.9, 0.1]], (40, 1)).astype(np.float32)
    takes = np.arange(40).astype(str)
    few, many = (figures.Moments(said, truth, takes, np.arange(40) % persons) for persons in (4, 5))
    assert (few.unit, many.unit) == ("takes", "persons")
    assert many.of_one().unit == "takes"


def test_the_marks_lie_in_their_clips_and_in_order():
    import tomllib

    marks = tomllib.loads(material.MARKS.read_text())
    for mark in marks.values():
        assert 0 <= mark["start_s"] < mark["stroke_start_s"] < mark["stroke_end_s"] <= mark["end_s"]
    if not (DATA / "clips").is_dir():
        pytest.skip("../shared/data/clips is not there")
    signs = sorted(path.stem for path in (DATA / "clips").glob("asl_*"))
    assert sorted(marks) == signs


@pytest.mark.slow
def test_a_clip_is_a_stream_with_its_sign_where_it_is_marked(tmp_path):
    if not (DATA / "clips").is_dir():
        pytest.skip("../shared/data/clips is not there")
    (tmp_path / "asl_milk.mkv").symlink_to((DATA / "clips" / "asl_milk.mkv").resolve())
    (video,) = material.videos(tmp_path)
    assert isinstance(video, Material)
    ((label, start_s, end_s),) = [(e.label, e.start_s, e.end_s) for e in video.events(TASK)]
    assert (label, start_s, end_s) == ("signing", pytest.approx(0.03, abs=0.02), pytest.approx(1.53, abs=0.02))
    (stroke,) = material.stroke(video, TASK)
    assert start_s < stroke.start_s < stroke.end_s < end_s
