import dataclasses
import json

import pytest

from landmarks import Decoding, Manifest, ManifestError
from tests.fakes import manifest


def test_a_manifest_survives_json():
    original = dataclasses.replace(manifest(), metrics={"f1": 0.5}, sources=("asl-words (MIT)",), licence="MIT")
    assert Manifest.from_json(original.to_json()) == original


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


def test_decoding_refuses_impossible_numbers():
    with pytest.raises(ValueError, match=r"0\.5, 0\.3"):
        Decoding(start_above=0.3, stop_below=0.5)
    with pytest.raises(ValueError, match="seconds"):
        Decoding(min_gap_s=-1)


def test_a_windows_length_is_from_first_to_last_frame():
    assert manifest(frames=16, fps=15).window_s == 1.0
