import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from landmarks import SIGN_27
from models import checkpoint
from training import config, report
from training.__main__ import main
from training.evaluate import make_bench

SECTIONS = ("figures", "curves", "thresholds", "confusion", "calibration", "persons", "worst", "recipe")


class Page(HTMLParser):
    """What a browser would make of a page: its tags, the addresses in it, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.ids, self.addresses, self.text = [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [found[name] for name in ("src", "href", "action") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def run(recipe_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert (
        main(["fit", str(recipe_file), "--out", str(folder), "--set", "fit.epochs=2", "--set", "fit.windows=64"]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def saved(run):
    return checkpoint.load(run)


@pytest.fixture(scope="module")
def bench(saved):
    return make_bench(config.from_dict(saved.recipe))


@pytest.mark.slow
def test_a_fit_ends_with_a_page_that_needs_nothing_else(run):
    page = Page((run / report.FILE).read_text())
    assert not page.open
    assert tuple(page.ids) == SECTIONS
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert len(page.addresses) == 2 + 1 + 1 + report.WORST  # two stages, thresholds, calibration, clips
    for address in page.addresses:
        kind, content = address.split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(content)


@pytest.mark.slow
def test_the_page_says_what_the_run_is(run, saved):
    text = Page((run / report.FILE).read_text()).text
    for name, value in saved.manifest.metrics.items():
        assert name in text
        assert f"{value:.4g}" in text
    assert f"{saved.manifest.decoding.start_above:g}" in text
    assert '"widths"' in text


@pytest.mark.slow
def test_the_command_writes_the_same_page_again(run, capsys):
    before = (run / report.FILE).read_text()
    (run / report.FILE).unlink()
    assert main(["report", str(run)]) == 0
    assert str(run / report.FILE) in capsys.readouterr().out
    assert (run / report.FILE).read_text() == before


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "training fit" in capsys.readouterr().err


HOSTILE = '<script>alert("1")</script> & $\\frac{'


def test_text_from_outside_is_text(saved, bench, monkeypatch):
    """Labels, takes and the recipe come from data and files: none of it becomes HTML, or a formula in a picture."""
    bench = dataclasses.replace(bench, test=dataclasses.replace(bench.test, take=bench.test.take.astype("U200")))
    bench.test.take[:] = np.char.add(HOSTILE, bench.test.take)
    recipe = {**saved.recipe, "name": f"</pre>{HOSTILE}"}
    hostile = dataclasses.replace(saved, recipe=recipe, manifest=dataclasses.replace(saved.manifest, name=HOSTILE))
    monkeypatch.setattr(bench.task, "labels", ("not-signing", HOSTILE))
    text = report.page(hostile, bench, {})
    page = Page(text)
    assert "script" not in page.tags
    assert not page.open
    assert page.text.count(HOSTILE) > 10
    assert "holds no log" in page.text


def said(bench, probabilities):
    probabilities = np.asarray(probabilities, np.float32)
    return report.Said(probabilities, bench.test, probabilities, bench.test)


def test_the_worst_clips_are_those_whose_truth_is_held_least_likely(bench):
    test = bench.test
    sure = np.where(np.eye(2)[test.truth] > 0, 0.9, 0.1)
    bad = test.take == test.take[5]
    sure[bad] = sure[bad][:, ::-1]
    shown = said(bench, sure)
    assert report._worst(shown)[0] == test.take[5]
    clip = report._clip(shown, test.take[5], ("rest", "sign"), SIGN_27)
    assert clip["true_chance"] == pytest.approx(0.1)
    assert {clip["truth"], clip["said"]} == {"rest", "sign"}
    assert report._mistakes(shown, ("rest", "sign")) == [(clip["truth"], clip["said"], int(bad.sum()))]
    assert report._persons(shown)[0]["right"] == pytest.approx(1 - bad.mean())


def test_a_confusion_matrix_counts_every_window(bench):
    rows = report._confusion(said(bench, np.eye(2)[1 - bench.test.truth]), ("rest", "sign"))
    assert sum(row["samples"] for row in rows) == len(bench.test)
    assert [row["cells"][i][0] for i, row in enumerate(rows)] == [0, 0]
    assert [row["cells"][1 - i][1] for i, row in enumerate(rows)] == [1.0, 1.0]


def test_a_strip_has_a_pose_a_frame_and_no_bone_to_an_unseen_joint():
    window = np.random.default_rng(0).random((12, 27, 3)).astype(np.float32)
    bones = [len(c.get_segments()) for c in report.strip(window, SIGN_27, poses=4).axes[0].collections]
    assert bones == [len(SIGN_27.bones)] * 4
    window[:, SIGN_27.indices(SIGN_27.bones[0][0])] = np.nan
    fewer = [len(c.get_segments()) for c in report.strip(window, SIGN_27, poses=4).axes[0].collections]
    assert max(fewer) < len(SIGN_27.bones)
    window[:10] = np.nan
    assert len(report.strip(window, SIGN_27, poses=4).axes[0].collections) == 2
    nothing = report.strip(np.full_like(window, np.nan), SIGN_27)
    assert [text.get_text() for text in nothing.axes[0].texts] == ["nothing seen"]


def test_logs_are_read_with_what_is_missing_left_out(tmp_path):
    (tmp_path / "log-select.csv").write_text("epoch,loss,validation_loss\n1,0.5,\n2,0.4,0.6\n")
    assert report.read_logs(tmp_path) == {
        "select": [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.4, "validation_loss": 0.6}]
    }
    assert re.match("data:image/svg", report._picture(report._curves(report.read_logs(tmp_path)["select"])))
