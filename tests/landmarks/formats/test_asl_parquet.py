import sys

import numpy as np
import pytest

from landmarks import HOLISTIC_75, FormatError, LandmarkError, formats
from landmarks.formats import Given, asl_parquet
from tests.fakes import signer
from tests.recordings import parquet_file

pytest.importorskip("pyarrow")
CLIP = signer([True, False, True], fps=30)
WHOLE = parquet_file(CLIP)


def test_a_clip_comes_back_without_its_face():
    assert formats.sniff(WHOLE) == "parquet"
    clip = formats.read(WHOLE, Given(aspect=1.5))
    assert clip.layout == HOLISTIC_75
    np.testing.assert_array_equal(clip.xyz, CLIP.xyz)
    np.testing.assert_allclose(clip.at_s, CLIP.at_s)
    assert clip.aspect == 1.5


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (parquet_file(CLIP, drop=("frame", "x")), "lacks frame, x"),
        (parquet_file(CLIP, landmark_index=-1), "landmarks 0 to 32, got -1"),
        (parquet_file(CLIP, landmark_index=33), "pose has landmarks 0 to 32, got 33"),
        (parquet_file(CLIP, type=None), "rows without type"),
        (parquet_file(CLIP, x="left"), "cannot be read"),
        (parquet_file(CLIP, frame="first"), "cannot be read"),
        (parquet_file(CLIP, z=[1.0]), "cannot be read"),
        (b"PAR1PAR1", "cannot be read"),
        (WHOLE[: len(WHOLE) // 2] + WHOLE[-40:], "cannot be read"),
    ],
)
def test_what_is_broken_is_refused_with_the_reason(data, says):
    assert formats.sniff(data) == "parquet"
    with pytest.raises(LandmarkError, match=says):
        formats.read(data)


def test_too_many_rows_are_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(asl_parquet, "MAX_ROWS", 100)
    with pytest.raises(FormatError, match="over the limit of 100"):
        formats.read(WHOLE)


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FormatError, match="pip install"):
        formats.read(WHOLE)
