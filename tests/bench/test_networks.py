import pytest
import torch
from torch import nn

from bench.__main__ import main
from bench.networks import STANDARD, Measured, macs, standard_network, streams
from models import NETWORKS

# As the specs count them; where a published network has weights that play no part, less those.
PARAMETERS = {
    "costgcn": 3_144_508 - 18_750 - 2_816 + 300 + 15_420,
    "dsta-slr": 7_219_502 - 2_916,
    "impsgn": 3_489_560,
    "sca-stgcn": 1_110_603,
    "sgn": 691_048,
    "signing-lstm": 23_170,
    "st-sgcn": 10_421_015 - 1_676,
    "stgcn": 3_098_832,
    "stgcn++": 1_403_144,
}


def test_every_network_has_its_published_size_here():
    assert set(STANDARD) == set(NETWORKS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_size_has_the_published_parameters(name):
    assert sum(p.numel() for p in standard_network(name).parameters()) == PARAMETERS[name]


def test_a_network_without_a_published_size_fails_the_bench(monkeypatch, capsys):
    monkeypatch.delitem(STANDARD, "sgn")
    assert main(["networks"]) == 1
    assert "differ by sgn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "shape", "want"),
    [
        (nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (nn.Conv1d(4, 6, 3), (2, 4, 10), 2 * 8 * 6 * 4 * 3),
        (nn.LSTM(5, 8, bias=False, batch_first=True), (2, 9, 5), 2 * 9 * 4 * 8 * (5 + 8)),
        (nn.GRU(5, 8, batch_first=True, bidirectional=True), (2, 9, 5), 2 * 2 * 9 * 3 * 8 * (5 + 8)),
        (nn.GRU(5, 8, num_layers=2, batch_first=True), (1, 9, 5), 9 * 3 * 8 * (5 + 8 + 8 + 8)),
        (nn.Sequential(nn.Linear(4, 5), nn.GRU(5, 8, batch_first=True)), (1, 9, 4), 9 * (4 * 5 + 3 * 8 * (5 + 8))),
    ],
    ids=["linear", "convolution", "lstm", "gru both ways", "gru twice", "after another"],
)
def test_multiply_adds_are_counted_whatever_the_layer(network, shape, want):
    x = torch.zeros(shape)
    assert macs(network, lambda: network(x)) == want
    assert macs(network, lambda: network(x)) == want, "the hooks are gone"


@pytest.mark.parametrize(("frame_ms", "missed"), [(5.0, 0), (5.1, 1)])
def test_the_verdict_is_about_windows_of_300_frames(frame_ms, missed, capsys):
    def measured(name, ms):
        return Measured(name, (), 100, 1, {("torch", 1): 100.0}, {"torch": ms})

    assert streams([measured("signing-lstm", 90.0), measured("costgcn", frame_ms)]) == missed
    told = capsys.readouterr().out
    assert told.strip().endswith("no: costgcn in torch" if missed else "yes")
    assert "not asked" in told
    assert streams([measured("signing-lstm", 90.0)]) == 0
    assert "a continual prediction" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_prints_a_line_a_network(capsys):
    assert main(["networks", "--only", "signing-lstm", "--turns", "1", "--batches", "1", "2"]) == 0
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if "23,170" in line)
    assert row.count("|") == 4 + 2 * 2 + 1
    assert "onnxruntime, 2" in told
    assert "a frame" in told
