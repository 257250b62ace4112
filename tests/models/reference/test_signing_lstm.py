"""Published detectors in the forms that no parity pack has, against the equations of an LSTM."""

import numpy as np
import pytest
import torch

from landmarks import BODY_25, HOLISTIC_75, POSE_33
from models.reference import PartialLoad, UnknownCheckpoint, recognise, translate
from models.reference.signing_lstm import FAMILY

HIDDEN = 5


def keras(places, points=25, labels=2, bidirectional=False, dense="dense"):
    """Weights of LSTMs one on the other, by Keras' names. places: of each layer, or of both of its directions."""
    random = np.random.default_rng(0)
    state, inputs = {}, points
    for layer in places:
        for place in (layer,) if isinstance(layer, str) else layer:
            state[f"{place}/kernel"] = random.normal(0, 0.5, (inputs, 4 * HIDDEN))
            state[f"{place}/recurrent_kernel"] = random.normal(0, 0.5, (HIDDEN, 4 * HIDDEN))
            state[f"{place}/bias"] = random.normal(0, 0.5, 4 * HIDDEN)
        inputs = HIDDEN * (1 + bidirectional)
    state[f"{dense}/kernel"], state[f"{dense}/bias"] = random.normal(size=(inputs, labels)), random.normal(size=labels)
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}


def lstm(state, place, x):
    """(T, I) -> (T, H) by the equations."""
    hidden, cell, out = torch.zeros(HIDDEN), torch.zeros(HIDDEN), []
    for frame in x:
        gates = frame @ state[f"{place}/kernel"] + hidden @ state[f"{place}/recurrent_kernel"] + state[f"{place}/bias"]
        enter, forget, candidate, leave = gates.split(HIDDEN)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        out.append(hidden)
    return torch.stack(out)


def by_the_equations(state, places, x, dense="dense"):
    for layer in places:
        if isinstance(layer, str):
            x = lstm(state, layer, x)
        else:
            forward, backward = layer
            x = torch.cat([lstm(state, forward, x), lstm(state, backward, x.flip(0)).flip(0)], dim=1)
    return x @ state[f"{dense}/kernel"] + state[f"{dense}/bias"]


BOTH = [
    (f"bidirectional{n}/forward_lstm{n}/lstm_cell", f"bidirectional{n}/backward_lstm{n}/lstm_cell") for n in ("", "_1")
]
CELLS = [(f"bidirectional/forward_lstm/lstm_cell_{n}", f"bidirectional/backward_lstm/lstm_cell_{n + 1}") for n in (1,)]
MANY = [f"lstm{n}/lstm_cell{n}" for n in ("", *(f"_{i}" for i in range(1, 12)))]


@pytest.mark.parametrize(
    ("places", "options"),
    [
        (["lstm/lstm_cell"], {"points": 25, "labels": 3}),
        (["lstm_4/lstm_cell"], {"points": 137, "dense": "dense_4"}),
        (["lstm"], {"points": 67}),
        (["sequential/lstm/lstm_cell"], {"points": 25, "dense": "sequential/dense"}),
        (MANY, {"points": 9}),
        (BOTH, {"points": 67, "bidirectional": True}),
        (CELLS, {"points": 25, "bidirectional": True}),
    ],
    ids=["classes", "face", "no cell", "model's name", "many", "both", "numbered cells"],
)
def test_other_depths_directions_and_points_say_what_their_equations_say(places, options):
    state, dense = keras(places, **options), options.get("dense", "dense")
    assert recognise(state) is FAMILY
    shuffled = dict(sorted(state.items(), key=lambda item: item[0][::-1]))
    network = translate(shuffled).network()
    assert network.features.points == options["points"]
    x = torch.from_numpy(np.random.default_rng(1).uniform(0, 2, (2, 7, options["points"])).astype(np.float32))
    with torch.inference_mode():
        said = FAMILY.answer(network, {"x": x.numpy()}, {}, "main")
    for i in range(2):
        want = by_the_equations(state, places, x[i], dense)
        assert want.std() > 0.02
        np.testing.assert_allclose(said["logits"][i], want, atol=1e-5)
        np.testing.assert_allclose(said["signing"][i], want.softmax(dim=1)[:, 1], atol=1e-5)


def test_points_choose_the_layout():
    alone, hands = keras(["lstm/lstm_cell"]), keras(["lstm/lstm_cell"], points=67)
    assert translate(alone).layout is POSE_33
    assert translate(hands).layout is HOLISTIC_75
    assert translate(alone, layout="holistic_75").network().features.points == 25
    assert translate(alone, layout=BODY_25).options["points"] == "own"
    assert len(translate(keras(["lstm/lstm_cell"], points=50)).layout) == 50


def test_a_backward_lstm_without_its_forward_one_is_refused():
    state = keras(BOTH, bidirectional=True)
    gone = {name: value for name, value in state.items() if "backward_lstm_1" not in name}
    with pytest.raises(PartialLoad, match="2 LSTMs look forward"):
        translate(gone)


def test_a_gru_or_two_heads_are_not_taken_for_it():
    state = keras(["lstm/lstm_cell"])
    with pytest.raises(UnknownCheckpoint):
        recognise({name: value[..., : 3 * HIDDEN] if "lstm" in name else value for name, value in state.items()})
    with pytest.raises(UnknownCheckpoint):
        recognise({**state, "dense_1/kernel": torch.zeros(2, 2)})
