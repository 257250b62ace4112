"""Who is taken for whom, as a command."""

import numpy as np
import pytest

from bench.__main__ import main
from bench.people import mistaken


@pytest.mark.slow
def test_every_scene_and_every_kind_of_hands_has_a_row(data, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench people -->\n<!-- end -->\n")
    assert main(["people", "--folder", str(data), "--walks", "1", "--takes", "5", "--write", str(page)]) == 0
    text = page.read_text()
    assert text.count(" of 1 ") == 7
    assert "| as recorded     | 0 of" in text
    assert main(["people", "--folder", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ([[1, 2], [1, 0], [1, 2]], 0),
        ([[1, 2], [2, 1]], 3),
        ([[1, 2], [1, 3]], 1),
        ([[1, 1], [1, 1]], 1),
        ([[1, 0], [1, 0]], 1),
    ],
)
def test_a_mistake_is_a_number_that_is_not_kept_or_not_ones_own(told, wrong):
    assert mistaken(np.array(told)) == wrong
