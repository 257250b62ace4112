"""The shipped artefacts: what they say of themselves is what they are."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export import parity
from landmarks import HOLISTIC_75, cutters, find_layout, frames_behind
from models import NETWORKS
from training import config
from training.__main__ import main
from training.evaluate import Bench, make_bench, of_onnx

PRETRAINED = Path(__file__).parents[2] / "models" / "pretrained"
CONFIGS = Path(config.__file__).parent / "configs"
INT8 = sorted((PRETRAINED / "int8").glob("*.onnx"))
every_model = pytest.mark.parametrize("path", sorted(PRETRAINED.glob("*.onnx")), ids=lambda path: path.stem)
every_file = pytest.mark.parametrize(
    "path", [*sorted(PRETRAINED.glob("*.onnx")), *INT8], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
every_int8 = pytest.mark.parametrize("path", INT8, ids=lambda path: path.stem)


@functools.cache
def bench_of(name: str, data: Path) -> Bench:
    """What a shipped model is measured on, read once."""
    return make_bench(config.load(CONFIGS / f"{name}.toml", (f"data.folder={data}",)))


def test_both_models_are_there():
    assert {path.stem for path in PRETRAINED.glob("*.onnx")} >= {"signing", "signs"}
    assert {path.stem for path in INT8} >= {"signs"}


@every_model
def test_a_model_is_what_its_recipe_says(path):
    _, manifest = of_onnx(path)
    recipe = config.load(CONFIGS / f"{path.stem}.toml")
    assert manifest.name == recipe.name == path.stem
    assert manifest.task == {"signing": "signing"}.get(recipe.task, "gesture")
    behind = frames_behind(recipe.window.centre, recipe.window.frames)
    assert manifest.fps == recipe.window.fps
    assert frames_behind(manifest.centre, manifest.window_frames) == behind
    if manifest.form == "window":
        assert (manifest.window_frames, manifest.stride_frames) == (recipe.window.frames, recipe.window.stride)
    assert manifest.network in NETWORKS
    assert manifest.joints == find_layout(manifest.layout).joints
    assert cutters(manifest, HOLISTIC_75), "a live stream has its joints"
    assert manifest.licence == recipe.card.licence
    assert manifest.sources == recipe.card.sources
    assert path.stat().st_size < 5_000_000


@every_file
def test_a_model_answers_any_window_with_probabilities(path):
    predict, manifest = of_onnx(path)
    for batch in (1, 4):
        for windows in parity.inputs(manifest.window_frames, len(manifest.joints), batch).values():
            said = predict(windows)
            assert said.shape == (batch, len(manifest.labels))
            np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)


@every_file
def test_a_model_is_silent_while_nobody_is_seen(path):
    predict, manifest = of_onnx(path)
    said = predict(np.full((1, manifest.window_frames, len(manifest.joints), 3), np.nan, np.float32))[0]
    assert said.argmax() == manifest.labels.index(manifest.background)


@every_model
def test_the_card_quotes_the_measured_figures_and_the_commands(path):
    _, manifest = of_onnx(path)
    card = path.with_suffix(".md").read_text()
    for name in (
        "accuracy",
        "accuracy_hands_visible",
        "f1_hands_visible",
        "pr_auc_hands_visible",
        "accuracy_words",
        "recall_macro",
    ):
        if name in manifest.metrics:
            assert f"{manifest.metrics[name]:.3f}" in card, name
    assert f"{manifest.decoding.start_above:g}" in card
    for command in ("training fit", "export", "training evaluate"):
        assert f"python -m {command}" in card


@every_int8
def test_int8_is_another_form_of_the_same_fit(path):
    fine = PRETRAINED / path.name
    (_, ours), (_, theirs) = of_onnx(fine), of_onnx(path)
    assert theirs.precision == "int8"
    assert theirs == replace(ours, precision="int8", metrics=theirs.metrics)
    assert set(theirs.metrics) == {"windows", "accuracy"}
    assert path.stat().st_size < fine.stat().st_size
    assert f"int8/{path.name}" in fine.with_suffix(".md").read_text()


@pytest.mark.slow
@every_int8
def test_int8_loses_less_than_a_point(path, data):
    windows = bench_of(path.stem, data).test
    said = [of_onnx(file)[0](windows.landmarks).argmax(axis=1) for file in (PRETRAINED / path.name, path)]
    fine, rounded = (float((answer == windows.truth).mean()) for answer in said)
    assert rounded > fine - 0.01
    assert of_onnx(path)[1].metrics == pytest.approx({"windows": len(windows), "accuracy": rounded}, abs=2e-3)


@pytest.mark.slow
@every_model
def test_evaluating_the_shipped_file_gives_the_figures_it_carries(path, data, capsys):
    _, manifest = of_onnx(path)
    assert main(["evaluate", str(path), "--set", f"data.folder={data}"]) == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(manifest.metrics, abs=2e-3)


@pytest.mark.slow
@every_model
def test_nobody_tested_was_trained_on(path, data):
    bench = bench_of(path.stem, data)
    trained = {clip.person for clip in (*bench.split.train, *bench.split.validation)}
    assert not trained & set(bench.test.person.tolist())
