from pathlib import Path

import pytest

from bench.__main__ import main
from service.errors import ModelError

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "models" / "pretrained").glob("*.onnx"))


def test_files_are_timed_in_turns_and_held_to_the_first(capsys):
    assert main(["files", *map(str, SHIPPED), "--turns", "3"]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == [path.name for path in SHIPPED]
    assert [row[3] for row in rows] == [f"{path.stat().st_size / 1024:.0f}" for path in SHIPPED]
    assert rows[0][5] == "1.00"
    assert all(float(row[4]) > 0 and float(row[5]) > 0 for row in rows)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"a\.onnx"):
        main(["files", str(tmp_path / "a.onnx")])
