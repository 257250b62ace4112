from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from landmarks import HOLISTIC_75, NoPerson, formats
from tests.fakes import signer
from training import prepare
from training.__main__ import main
from training.prepare import planned

CLIP = signer([True, False, True])
MP4 = b"\x00\x00\x00\x18ftypmp42"


@pytest.fixture
def videos(tmp_path):
    """A folder of three videos, one of them further down, beside a text."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4", "more/a.mp4"):
        (folder / name).write_bytes(MP4)
    (folder / "notes.txt").write_text("hello")
    return folder


class Script:
    """Stands for extraction: what each video gives, and which were asked for."""

    def __init__(self, **gives):
        self.gives, self.asked, self.backends = gives, [], set()

    def __call__(self, paths, processes, backend):
        self.backends.add(backend)
        for path in paths:
            self.asked.append(path.name)
            found = self.gives.get(path.stem, CLIP)
            if isinstance(found, type):
                raise found("a process died")
            yield path, found


@pytest.fixture
def script(monkeypatch):
    def use(**gives):
        made = Script(**gives)
        monkeypatch.setattr(prepare, "extract_videos", made)
        return made

    return use


def test_folders_stand_for_their_videos_and_keep_their_paths(videos, tmp_path):
    out = tmp_path / "out"
    assert sorted(str(target.relative_to(out)) for target in planned([videos], out).values()) == [
        "a.mp4.npz",
        "b.mp4.npz",
        "more/a.mp4.npz",
    ]


def test_what_is_not_there_and_two_of_one_name_are_refused(videos, tmp_path):
    with pytest.raises(FileNotFoundError, match="no video or folder"):
        planned([videos / "c.mp4"], tmp_path)
    with pytest.raises(ValueError, match="would both become"):
        planned([videos / "a.mp4", videos / "more" / "a.mp4"], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video"):
        planned([tmp_path / "empty"], tmp_path)


def test_what_is_done_is_skipped(videos, tmp_path, script):
    first = script(b=NoPerson("nobody"))
    done = prepare.prepare([videos], tmp_path / "out")
    assert [path.name for path in done.written] == ["a.mp4.npz", "a.mp4.npz"]
    assert list(done.failed) == [videos / "b.mp4"]
    assert sorted(first.asked) == ["a.mp4", "a.mp4", "b.mp4"]
    back = formats.read(done.written[0].read_bytes())
    assert back.layout == HOLISTIC_75
    np.testing.assert_array_equal(back.xyz, CLIP.xyz)

    again = script()
    done = prepare.prepare([videos], tmp_path / "out")
    assert again.asked == ["b.mp4"]
    assert (len(done.written), len(done.skipped), done.failed) == (1, 2, {})
    last = script()
    assert len(prepare.prepare([videos], tmp_path / "out").skipped) == 3
    assert last.asked == []


def test_a_half_written_file_is_none(videos, tmp_path, script, monkeypatch):
    script()
    kept = prepare.Path.replace
    monkeypatch.setattr(prepare.Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare([videos], tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.npz"))
    monkeypatch.setattr(prepare.Path, "replace", kept)
    assert len(prepare.prepare([videos], tmp_path / "out").written) == 3
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_video_that_kills_its_process_is_found_and_the_others_are_done(videos, tmp_path, script):
    script(b=BrokenProcessPool)
    done = prepare.prepare([videos], tmp_path / "out")
    assert len(done.written) == 2
    assert [(video.name, str(error)) for video, error in done.failed.items()] == [
        ("b.mp4", "the process that read it died")
    ]


def test_the_command_reports_and_fails_where_a_video_does(videos, tmp_path, script, capsys):
    script(b=NoPerson("no frame of b.mp4 shows a person"))
    assert main(["prepare", str(videos), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "b.mp4: NoPerson: no frame of b.mp4 shows a person" in said
    assert "2 written, 0 there already, 1 failed" in said
    again = script()
    assert main(["prepare", str(videos), "--out", str(tmp_path / "out"), "--backend", "mediapipe"]) == 0
    assert again.backends == {"mediapipe"}


@pytest.mark.slow
def test_real_clips_are_prepared_and_a_bad_one_is_reported(clips, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(MP4 + bytes(100))
    arguments = ["prepare", str(clips / "asl_milk.mkv"), str(bad), "--out", str(tmp_path / "out"), "--processes", "1"]
    assert main(arguments) == 1
    assert "bad.mp4: NotAVideo" in capsys.readouterr().out
    (written,) = (tmp_path / "out").iterdir()
    clip = formats.read(written.read_bytes())
    assert len(clip) > 30
    assert clip.seen[:, HOLISTIC_75.indices("nose")].mean() > 0.9
    assert main(arguments) == 1
    assert "0 written, 1 there already, 1 failed" in capsys.readouterr().out
