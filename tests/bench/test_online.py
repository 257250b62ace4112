import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.__main__ import main
from bench.online import Replayed, Study, choose_decoding, measure, tables, together
from bench.replay import judge, open_model, settle
from bench.studies import CONFIGS, STUDIES
from landmarks import SHREC_20, Decoding, LandmarkSequence, frames_behind
from models import Checkpoint, build
from service.session import Frame, Manner, Session
from tests import fakes
from training import config, datasets, online_metrics, sweep
from training.stream import Event, Stream

FPS = 10.0
LABELS = ("none", "one", "two")
SHARP = Decoding(start_above=0.6, stop_below=0.4, min_duration_s=0.0, min_gap_s=0.0)
EVENTS = (Event("one", 1.0, 1.9), Event("two", 4.0, 5.9), Event("one", 7.0, 7.9))


class Reader:
    """Reads what is done from the first joint, and says what `says` makes of it, quite surely."""

    provider = "Script"

    def __init__(self, says=lambda label: label, sure=0.9, decoding=SHARP):
        self.manifest = fakes.manifest("reader", LABELS, frames=1, fps=FPS, layout=SHREC_20, decoding=decoding)
        self._says, self._sure = says, sure

    def predict(self, windows):
        said = np.full((len(windows), len(LABELS)), (1 - self._sure) / (len(LABELS) - 1), np.float32)
        for row, window in zip(said, windows, strict=True):
            row[self._says(round(float(window[-1, 0, 0])))] = self._sure
        return said


def a_stream(events=EVENTS, seconds=10.0, take="a"):
    """A hand whose first joint stands at x = 1 during `one`, at 2 during `two`."""
    at_s = np.arange(round(seconds * FPS)) / FPS
    xyz = np.random.default_rng(0).normal(0, 0.1, (len(at_s), len(SHREC_20), 3))
    xyz[:, 0, 0] = 0
    for event in events:
        xyz[(at_s > event.start_s - 0.01) & (at_s < event.end_s + 0.01), 0, 0] = LABELS.index(event.label)
    return Stream(LandmarkSequence.of(SHREC_20, xyz, at_s=at_s), "", 0, take, "made", events=events)


def replayed(engine, streams):
    judged = judge(engine, streams)
    decoding = engine.manifest.decoding
    return Replayed("it", "windows", (decoding,), tuple(judged), tuple(settle(one) for one in judged))


def test_an_engine_that_tells_the_truth_finds_everything_at_once_and_nothing_else():
    figures = measure(replayed(Reader(), [a_stream(), a_stream(EVENTS[:2], take="b")]), draws=5).figures
    for name in ("shrec21_detection_rate", "shrec21_jaccard", "sfinge_detection_rate", "event_f1", "delay_share"):
        assert figures[name] == 1
    assert figures["levenshtein_accuracy"] == figures["fragmentation_pieces"] == 1
    for name in ("shrec21_false_positive_rate_strict", "sfinge_false_positive_rate", "false_per_hour"):
        assert figures[name] == 0
    assert figures["delay_median_s"] == pytest.approx(0)
    assert figures["boundary_end_s"] == pytest.approx(1 / FPS)  # told by the first frame without it


def test_an_engine_that_swaps_the_labels_finds_nothing_and_all_that_it_says_is_false():
    figures = measure(replayed(Reader(lambda label: (0, 2, 1)[label]), [a_stream()]), draws=5).figures
    assert figures["shrec21_detection_rate"] == figures["sfinge_detection_rate"] == figures["event_f1"] == 0
    assert figures["shrec21_false_positive_rate"] == 0  # on true events, of another label
    assert figures["shrec21_false_positive_rate_strict"] == figures["sfinge_false_positive_rate"] == 1
    assert figures["false_per_hour"] == pytest.approx(3 * 3600 / 9.9)


def test_an_engine_that_is_never_sure_says_nothing():
    figures = measure(replayed(Reader(sure=0.5), [a_stream()]), draws=5).figures
    assert figures["shrec21_detection_rate"] == figures["sfinge_false_positive_rate"] == 0
    assert np.isnan(figures["delay_median_s"])


def test_the_figures_are_those_of_the_pure_functions_on_what_the_session_pushes():
    stream, engine = a_stream(), Reader(decoding=replace(SHARP, min_duration_s=0.3, min_gap_s=0.2, smoothing_s=0.1))
    session = Session([engine], 1.0, Manner(SHREC_20))
    frames = zip(stream.sequence.at_s.tolist(), stream.sequence.xyz, strict=True)
    events = [event for at_s, xyz in frames for event in session.push(Frame(at_s, xyz))] + session.close()
    told = {event.id: event.decided_at_s for event in events if event.state == "start"}
    said = tuple(
        online_metrics.Event(event.label, event.start_s, event.end_s, told[event.id])
        for event in events
        if event.state == "end"
    )
    true = tuple(online_metrics.Event(event.label, event.start_s, event.end_s) for event in EVENTS)
    want = online_metrics.figures([online_metrics.Recording(said, true, 9.9)])
    found = measure(replayed(engine, [stream]), draws=5)
    assert want["delay_median_s"] > 0.2
    assert {name: found.figures[name] for name in want} == pytest.approx(want, nan_ok=True)
    assert found.figures["frame_ms"] >= 0


def test_a_delay_counts_the_frames_that_a_window_waits_for():
    class Late(Reader):
        def __init__(self):
            super().__init__()
            self.manifest = replace(self.manifest, window_frames=5, centre=0.0)

        def predict(self, windows):
            return super().predict(windows[:, :1])

    figures = measure(replayed(Late(), [a_stream()]), draws=5).figures
    assert figures["delay_median_s"] == pytest.approx(4 / FPS)
    assert figures["boundary_start_s"] == pytest.approx(0)


def test_the_decoding_is_the_one_that_the_validation_streams_do_best_with():
    unsure = Reader(sure=0.5, decoding=replace(SHARP, start_above=0.9))
    judged = judge(unsure, [a_stream()])
    chosen = choose_decoding(judged)
    assert chosen.start_above <= 0.5 < unsure.manifest.decoding.start_above
    assert online_metrics.shrec21([settle(one, chosen) for one in judged])["jaccard"] == 1


def test_folds_come_together_once_a_stream():
    folds = [replayed(Reader(), [a_stream(take=take)]) for take in "ab"]
    both = together("it", folds)
    assert len(both.recordings) == len(both.judged) == len(both.decodings) == 2
    assert "2 streams, 6 gestures, 0.3 minutes" in tables([measure(both, draws=5)])
    with pytest.raises(ValueError, match="a in two folds"):
        together("it", [folds[0], folds[0]])


CONTINUAL = {
    "costgcn": {"widths": (8,), "strides": (1,), "kernel": 3, "pool_size": 4},
    "signing-lstm": {"hidden": 4, "axes": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTINUAL)
def test_a_continual_network_steps_through_a_session_as_torch_answers_the_clip(name, tmp_path):
    torch.manual_seed(0)
    behind = 2
    manifest = fakes.manifest("steps", LABELS, frames=11, fps=FPS, layout=SHREC_20, centre=1 - behind / 10)
    manifest = replace(manifest, network=name)
    options = {"labels": 3, "fps": FPS, **CONTINUAL[name]}
    network = build(name, SHREC_20, **options).eval()
    Checkpoint(manifest, SHREC_20, options, network.state_dict(), {}).save(tmp_path)
    model = open_model(tmp_path)
    assert model.goes == "frames"
    streams = [a_stream(seconds=2.0), a_stream((), seconds=1.5)]
    for one in judge(model.engine, streams):
        seen = torch.from_numpy(one.stream.sequence.xyz[None])
        with torch.no_grad():
            want = torch.softmax(network.predictions(seen)[0], dim=-1).numpy()
        said = np.stack([scored.probabilities for scored in one.scored])
        assert len(said) == len(want)
        np.testing.assert_allclose(said[: len(want) - behind], want[behind:], atol=1e-5)
        np.testing.assert_allclose([s.window.at_s for s in one.scored], one.stream.sequence.at_s, atol=1e-6)


@pytest.fixture
def small(tmp_path):
    """A data folder with three streams of `one` and `two`, and a recipe and a study of them."""
    random, folder = np.random.default_rng(0), tmp_path / "data"
    (folder / "sfinge3d").mkdir(parents=True)
    joints = random.normal(0, 0.1, (3 * 80, 20, 7)).astype(np.float32)
    events = []
    for stream in range(3):
        for label, first in ((1, 10), (2, 45)):
            events.append((stream, label, first, first + 19))
            joints[80 * stream + first : 80 * stream + first + 20, 5:9, 0] += label
    about = {"length": np.full(3, 80), "stream": np.arange(3), "events": np.array(events)}
    np.savez(folder / "sfinge3d" / "streams.npz", joints=joints, **about)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("""
name = "tiny"
task = "frames"
[data]
sets = ["sfinge3d"]
[split]
folds = 3
fold = 1
refit = false
[window]
frames = 8
fps = 20.0
stride = 2
centre = 0.75
[network]
name = "stgcn"
layout = "shrec_20"
[frames]
events = ["one", "two"]
[fit]
epochs = 1
windows = 200
batch = 10
rate = 0.02
""")
    study = tmp_path / "tiny.toml"
    study.write_text(f"""
recipe = "{recipe}"
folds = 3
[rows.stgcn]
network.options = {{ widths = [8], strides = [1], kernel = 3 }}
[rows.continual]
network = {{ name = "costgcn", options = {{ widths = [8], strides = [1], kernel = 3, pool_size = 4 }} }}
frames = {{ every = true, stretch = 20 }}
""")
    return study, ["--folder", str(folder), "--out", str(tmp_path / "runs")]


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*-online.toml")), ids=lambda path: path.stem)
def test_a_shipped_study_tests_every_fold_once_and_both_forms_speak_of_one_moment(path):
    study = config.build(Study, config.read_toml(path), "study.")
    base = config.load(CONFIGS / study.recipe).to_dict()
    moments = set()
    for row in study.rows:
        recipes = [sweep.vary(base, fit) for fit in study.fits(row)]
        assert [recipe.split.fold for recipe in recipes] == list(range(1, study.folds + 1))
        assert {recipe.split.folds for recipe in recipes} == {study.folds}
        moments |= {frames_behind(recipe.window.centre, recipe.window.frames) for recipe in recipes}
    assert len(moments) == 1


def test_the_single_gestures_that_train_hold_no_frame_of_a_stream():
    folder = Path("../shared/data")
    if not (folder / "sfinge3d").is_dir():
        pytest.skip("../shared/data/sfinge3d is not there")
    streams, gestures = datasets.load_streams(folder, ("sfinge3d",)), datasets.load(folder, ("sfinge3d",))
    seen = {frame.tobytes() for stream in streams for frame in stream.sequence.xyz.round(2)}
    assert len(seen) > 10_000
    assert not any(frame.tobytes() in seen for clip in gestures for frame in clip.sequence.xyz.round(2))


@pytest.mark.slow
@pytest.mark.parametrize(("row", "goes"), [("stgcn", "windows"), ("continual", "frames")])
def test_the_command_cross_validates_a_study(row, goes, small, tmp_path):
    study, where = small
    page = tmp_path / "results.md"
    page.write_text("<!-- bench online tiny -->\n<!-- end -->\n")
    asked = ["online", "--study", str(study), *where, "--only", row, "--write", str(page)]
    assert main(asked) == 0
    text = page.read_text()
    assert "3 streams, 6 gestures" in text
    assert f"| {row} | {goes} " in " ".join(text.split())
    told = json.loads((tmp_path / "runs" / "tiny" / row / "online.json").read_text())
    assert len(told["decodings"]) == 3
    assert 0 <= told["figures"]["shrec21_detection_rate"] <= 1
    assert set(told["spread"]) == set(told["figures"]) - {"frame_ms"}
    assert main([*asked, "--read"]) == 0
    assert page.read_text() == text


def test_what_cannot_be_asked_is_said(small, tmp_path, capsys):
    study, where = small
    for asked, complaint in (
        ([], "name either models or a --study"),
        (["--study", str(study), "--only", "sgn"], "choose from stgcn, continual"),
        (["--study", str(study), "--read"], "is measured"),
        (["--study", str(study), "--write", str(study)], "needs one line"),
        ([str(tmp_path / "nothing")], "no checkpoint"),
    ):
        assert main(["online", *asked, *where]) == 2
        assert complaint in capsys.readouterr().err
