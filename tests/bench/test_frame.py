"""What a live frame costs, as a command: a row for every choice of models, with hands in view and without."""

from bench.__main__ import main


def test_every_choice_of_models_has_a_row_with_hands_and_one_without(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench frame -->\n<!-- end -->\n")
    given = ["--models", "signing", "hand-shapes,hand-motions", "--streams", "1", "--seconds", "0.2"]
    assert main(["frame", *given, "--turns", "1", "--write", str(page)]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [
        ("signing", "yes"),
        ("signing", "no"),
        ("hand-shapes + hand-motions", "yes"),
        ("hand-shapes + hand-motions", "no"),
    ]
    assert "hand-shapes" in page.read_text()
