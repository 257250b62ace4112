"""Whatever is done to a file of any format, reading it gives a clip or an error of ours."""

import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmarks import LandmarkError, LandmarkSequence, formats
from tests.fakes import signer
from tests.recordings import (
    ntu_file,
    openpose_frames,
    openpose_zip,
    parquet_file,
    person_25,
    pose_file,
    shrec_lines,
)

pytest.importorskip("pyarrow")
CLIP = signer([True, False, True], fps=25)
RANDOM = np.random.default_rng(0)
WRITTEN = {
    "openpose": openpose_zip(openpose_frames(CLIP, 640, 480)),
    "npz": formats.npz.write(CLIP),
    "pose": pose_file(CLIP),
    "parquet": parquet_file(CLIP),
    "ntu-skeleton": ntu_file(14, [(name, range(14), person_25(14, seed)) for seed, name in enumerate("ab")]),
    "shrec": shrec_lines(RANDOM.normal(size=(3, 20, 7)), ";"),
}


def test_each_format_is_told_from_the_others():
    assert {name: formats.sniff(data) for name, data in WRITTEN.items()} == {name: name for name in WRITTEN}


def attempt(data):
    try:
        clip = formats.read(data)
    except LandmarkError:
        return
    assert isinstance(clip, LandmarkSequence)
    assert len(clip) > 0


@given(st.sampled_from(sorted(WRITTEN)), st.integers(0, 100_000), st.binary(max_size=20), st.integers(0, 40))
@example("ntu-skeleton", 3, b"9", 0)
def test_damage_gives_a_clip_or_an_error_of_ours(name, at, patch, cut):
    data = WRITTEN[name]
    at %= len(data)
    attempt(data[:at] + patch + data[at + cut :])


@given(st.sampled_from(sorted(WRITTEN)), st.binary(max_size=200))
def test_a_good_start_and_rubbish_after_it(name, rubbish):
    attempt(WRITTEN[name][:64] + rubbish + WRITTEN[name][-64:])


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 33, 3), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 33, 3), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 33, 3), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 33, 3), ",
        b"((((((((",
        b"'" * 3,
        b"-" * 5000,
        b"(" * 5000,
    ],
)
def test_an_array_that_lies_about_itself_is_refused(header):
    out = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("pose.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100))
    with pytest.raises(LandmarkError, match="cannot be read"):
        formats.read(out.getvalue())
