"""What resting saves, as a command: for every model of a folder, and for all of them together."""

from bench.__main__ import main
from landmarks import HAND_21
from tests.fakes import manifest
from tests.graphs import leaky, leaky_manifest


def test_every_model_and_all_together_have_a_row(tmp_path, capsys):
    leaky(tmp_path / "body.onnx", leaky_manifest(manifest("body", fps=15)))
    leaky(tmp_path / "shapes.onnx", leaky_manifest(manifest("shapes", fps=15, layout=HAND_21), behind=2))
    page = tmp_path / "page.md"
    page.write_text("<!-- bench resting -->\n<!-- end -->\n")
    given = ["--models", str(tmp_path), "--after", "0.2", "--seconds", "0.2", "--turns", "1", "--write", str(page)]
    assert main(["resting", *given]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [row[1].strip() for row in rows] == ["body", "shapes", "body + shapes"]
    assert "body + shapes" in page.read_text()
