import dataclasses
import json

import pytest

from landmarks import HAND_21, INDEX_TIP, SHREC_22, SIGN_27, UPPER_BODY, Decoding, Manifest, ManifestError
from tests.fakes import manifest

ADDED = ("form", "states", "precision", "weights_sha256", "rest_after_s")
"""Since the first format."""


def test_a_manifest_survives_json():
    original = dataclasses.replace(manifest(), metrics={"f1": 0.5}, sources=("asl-words (MIT)",), licence="MIT")
    assert Manifest.from_json(original.to_json()) == original


def test_a_stream_survives_json_with_the_shapes_of_its_states():
    original = dataclasses.replace(manifest(), form="stream", stride_frames=1, states=((1,), (64, 4)))
    assert Manifest.from_json(original.to_json()) == original


def test_a_file_of_the_first_format_is_a_window():
    raw = json.loads(manifest().to_json())
    first = {key: raw[key] for key in raw if key not in ADDED}
    read = Manifest.from_json(json.dumps(first | {"format_version": 1}))
    assert (read.form, read.states, read.precision, read.rest_after_s) == ("window", (), "fp32", 0.0)


def broken(**changes):
    return json.dumps(json.loads(manifest().to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("{}", "missing"),
        (broken(colour="red"), "unknown key in the manifest: colour"),
        (broken(decoding={"volume": 1}), "unknown key in the manifest: volume"),
        (broken(decoding={"start_above": 0.2, "stop_below": 0.8}), "stop_below <= start_above"),
        (broken(format_version=99), "format 99, this release reads 1"),
        (broken(form="clip"), "form is window or stream"),
        (broken(precision="fp8"), "fp32, fp16 or int8"),
        (broken(form="stream", stride_frames=1), "shapes of its states"),
        (broken(states=[[4]]), "shapes of its states"),
        (broken(form="stream", stride_frames=1, states=[[0]]), "shapes of its states"),
        (broken(form="stream", stride_frames=2, states=[[4]]), "at every frame"),
        (broken(background="nothing"), "distinct labels"),
        (broken(stride_frames=99), "stride_frames <= window_frames"),
        (broken(fps=0), "0 < fps"),
        (broken(joints=["nose", "nose"]), "joints"),
        (broken(task="dancing"), "signing or gesture"),
        (broken(fps="fast"), "the manifest is wrong"),
        ('"' + "x" * 1_000_001 + '"', "over the limit"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(text, says):
    with pytest.raises(ManifestError, match=says):
        Manifest.from_json(text)


@pytest.mark.parametrize(
    ("of", "changes", "says"),
    [
        (manifest(), {"background": ""}, "takes a background label and joints of hands, got '' and the layout sign_27"),
        (manifest(layout=UPPER_BODY), {}, "got 'not-signing' and the layout upper_body"),
        (manifest(layout=SHREC_22), {}, "the layout shrec_22"),
        (manifest(frames=11, fps=10, centre=0.5), {"rest_after_s": 0.4}, r"at least the 0\.5 s .* got 0\.4"),
        (manifest(), {"rest_after_s": -1.0}, "at least the 0 s"),
        (manifest(), {"rest_after_s": float("nan")}, "got nan"),
        (manifest(), {"rest_after_s": float("inf")}, "got inf"),
    ],
)
def test_a_model_that_cannot_rest_is_told_why(of, changes, says):
    with pytest.raises(ManifestError, match=says):
        dataclasses.replace(of, **{"rest_after_s": 1.0} | changes)


@pytest.mark.parametrize("layout", [SIGN_27, HAND_21, INDEX_TIP], ids=lambda layout: layout.name)
def test_a_model_that_sees_hands_may_rest_and_says_the_background_then(layout):
    of = dataclasses.replace(manifest(labels=("a", "none", "b"), layout=layout), background="none", rest_after_s=0.7)
    assert Manifest.from_json(of.to_json()).rest_after_s == 0.7
    assert of.at_rest.tolist() == [0, 1, 0]


def test_decoding_refuses_impossible_numbers():
    with pytest.raises(ValueError, match=r"0\.5, 0\.3"):
        Decoding(start_above=0.3, stop_below=0.5)
    with pytest.raises(ValueError, match="seconds"):
        Decoding(min_gap_s=-1)


def test_a_windows_length_is_from_first_to_last_frame():
    assert manifest(frames=16, fps=15).window_s == 1.0
