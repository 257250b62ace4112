import numpy as np
import pytest
import torch

from landmarks import HAND_21
from models import CheckpointError, build
from models.__main__ import main
from models.reference import UnknownCheckpoint, find_family, read, recognise

RAN = []


class Runs:
    """Pickles to a call."""

    def __reduce__(self):
        return (RAN.append, ("executed",))


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Runs()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        read(tmp_path / "a.pth")
    assert not RAN


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "weights", None])
def test_weights_are_found_where_training_scripts_put_them(tmp_path, wrapper):
    weights = {"module.a": torch.ones(2), "module.b": torch.zeros(1)}
    torch.save({wrapper: weights, "epoch": 3} if wrapper else weights, tmp_path / "a.pth")
    assert set(read(tmp_path / "a.pth")) == {"a", "b"}


def test_what_is_no_checkpoint_is_told(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    torch.save(np.zeros(3).tolist(), tmp_path / "list.pth")
    for name in ("text.pth", "text.safetensors", "none.pth", "list.pth", "nowhere.pth"):
        with pytest.raises(CheckpointError, match=name.split(".")[0]):
            read(tmp_path / name)


def test_names_of_no_family_are_told():
    with pytest.raises(UnknownCheckpoint, match=r"layer\.weight"):
        recognise({"layer.weight": torch.zeros(1)})
    with pytest.raises(UnknownCheckpoint, match="choose from"):
        find_family("stgnc")


def test_our_own_weights_are_not_taken_for_published_ones():
    with pytest.raises(UnknownCheckpoint):
        recognise(build("stgcn", HAND_21, labels=2, fps=15.0, widths=(8,), strides=(1,)).state_dict())


def test_the_command_refuses_in_words(tmp_path, capsys):
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "a.pth")
    assert main(["import", str(tmp_path / "a.pth"), "--as", "x", "--out", str(tmp_path / "run")]) == 2
    assert "UnknownCheckpoint" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
