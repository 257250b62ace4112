import dataclasses
import json

import pytest

from landmarks import HAND_21, INDEX_TIP, SHREC_22, SIGN_27, UPPER_BODY, Decoding, Manifest, ManifestError
from tests.fakes import manifest

ADDED = ("form", "states", "precision", "weights_sha256", "rest_after_s")
"""Since the first format."""
DECODED = ("pad_s", "refractory_s", "max_duration_s", "labels")
"""Of a decoding, since the second."""


def test_a_manifest_survives_json():
    decoding = Decoding(pad_s=0.1, max_duration_s=3.0, labels={"signing": {"start_above": 0.9, "max_duration_s": None}})
    original = dataclasses.replace(
        manifest(), metrics={"f1": 0.5}, sources=("asl-words (MIT)",), licence="MIT", decoding=decoding
    )
    assert Manifest.from_json(original.to_json()) == original


def test_a_stream_survives_json_with_the_shapes_of_its_states():
    original = dataclasses.replace(manifest(), form="stream", stride_frames=1, states=((1,), (64, 4)))
    assert Manifest.from_json(original.to_json()) == original


def test_a_file_of_the_first_format_is_a_window():
    raw = json.loads(manifest().to_json())
    first = {key: raw[key] for key in raw if key not in ADDED}
    first["decoding"] = {key: raw["decoding"][key] for key in raw["decoding"] if key not in DECODED}
    read = Manifest.from_json(json.dumps(first | {"format_version": 1}))
    assert (read.form, read.states, read.precision, read.rest_after_s) == ("window", (), "fp32", 0.0)
    assert read.decoding == manifest().decoding


def test_what_was_read_of_an_older_format_is_written_in_this_one():
    read = Manifest.from_json(broken(format_version=2))
    assert (read.format_version, json.loads(read.to_json())["format_version"]) == (2, 3)


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
        (broken(decoding={"labels": {"signing": {"volume": 1}}}), "of label 'signing' there is no volume"),
        (broken(decoding={"labels": {"sining": {}}}), "unknown labels sining; choose from signing"),
        (broken(decoding={"labels": {"not-signing": {}}}), "unknown labels not-signing"),
        (broken(decoding={"labels": ["signing"]}), "labels is a mapping"),
        (broken(decoding={"labels": {"signing": 3}}), "the manifest is wrong"),
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
    with pytest.raises(ValueError, match=r"pad_s, refractory_s are seconds >= 0, got .*inf"):
        Decoding(refractory_s=float("inf"))


@pytest.mark.parametrize("longest", [0.0, 0.39, float("inf"), float("nan")])
def test_a_longest_duration_must_hold_the_shortest_and_its_padding(longest):
    with pytest.raises(ValueError, match=r"at least min_duration_s \+ 2 pad_s = 0\.4, got"):
        Decoding(min_duration_s=0.2, pad_s=0.1, max_duration_s=longest)


def test_a_label_has_what_is_set_for_it_and_else_what_all_have():
    decoding = Decoding(pad_s=0.1, smoothing_s=0.3, labels={"b": {"pad_s": 0.0}})
    a, b = decoding.of(("a", "b"))
    assert a == dataclasses.replace(decoding, labels={})
    assert b == dataclasses.replace(a, pad_s=0.0)
    assert hash(decoding) == hash(dataclasses.replace(decoding, labels={}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start_above": 0.1}, r"of label 'a': need 0 <= stop_below <= start_above <= 1, got 0\.35, 0\.1"),
        ({"smoothing_s": 0.1}, "there is no smoothing_s to set"),
        ({"labels": {}}, "there is no labels to set"),
        ({"pad_s": "long"}, "of label 'a': "),
    ],
)
def test_what_a_label_cannot_have_is_refused_with_its_name(changes, says):
    with pytest.raises(ValueError, match=says):
        Decoding(labels={"a": changes})


def test_a_decoding_is_not_changed_by_who_gave_its_labels():
    given = {"a": {"pad_s": 0.1}}
    decoding = Decoding(labels=given)
    given["a"]["pad_s"] = 0.5
    assert decoding.labels == {"a": {"pad_s": 0.1}}


def test_a_windows_length_is_from_first_to_last_frame():
    assert manifest(frames=16, fps=15).window_s == 1.0
