import json

import numpy as np
import pytest
import torch

from landmarks import SIGN_27
from models import NETWORKS, build
from tests.networks import FRAMES, SMALL
from training.__main__ import main
from training.embedding import plot, read_csv
from training.visualise import NoEmbedding, before_head, of_windows, signers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(recipe_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name in ("stgcn", "sca-stgcn"):
        options = ", ".join(f"{key} = {json.dumps(value)}" for key, value in SMALL[name].items() if key != "signers")
        settings = (f"network.name={name}", f"network.options={{ {options} }}", "fit.epochs=1", "fit.windows=32")
        overrides = [part for setting in settings for part in ("--set", setting)]
        assert main(["fit", str(recipe_file), "--out", str(folder / name), *overrides]) == 0
    return folder


def small(name, **options):
    torch.manual_seed(0)
    return build(name, SIGN_27, labels=3, fps=15.0, **{**SMALL[name], **options}).eval()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_has_features_that_its_last_layer_answers_by(name):
    network, x = small(name), torch.rand(4, FRAMES, 27, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = before_head(network, x)
        heads = [m for m in network.modules() if isinstance(m, torch.nn.Linear) and m.in_features == found.shape[1]]
        logits = network.logits(x)
        assert any(h.out_features == 3 and torch.allclose(h(found), logits, atol=1e-3) for h in heads)
    assert not any(module._forward_hooks for module in network.modules())


def test_embeddings_do_not_depend_on_the_batch():
    network = small("sca-stgcn")
    windows = np.random.default_rng(0).random((7, FRAMES, 27, 3)).astype(np.float32)
    for what, width in (("signer", 8), ("clip", 16)):
        found = of_windows(network, windows, what)
        assert found.shape == (7, width)
        np.testing.assert_allclose(of_windows(network, windows, what, batch=3), found, atol=1e-5)


def test_what_has_no_embedding_says_what_has():
    network, x = small("stgcn"), torch.rand(2, FRAMES, 27, 3)
    with pytest.raises(NoEmbedding, match="STGCN has no signer embedding; sca-stgcn has"):
        signers(network, x)
    network.head = torch.nn.Sequential(network.head, torch.nn.Tanh())
    with pytest.raises(NoEmbedding, match="not those of one linear layer"):
        before_head(network, x)


def test_signers_are_told_apart_by_person_and_clips_by_label(runs, capsys):
    assert main(["visualise", str(runs / "sca-stgcn"), "--projections", "pca"]) == 0
    folder = runs / "sca-stgcn" / "embeddings"
    assert sorted(path.name for path in folder.iterdir()) == ["signer-person-pca.png", "signer-person.csv"]
    table = read_csv(folder / "signer-person.csv")
    assert set(table.labels) == {"1", "2", "3"}
    assert len(set(table.videos)) == len(table.videos) == 36
    assert table.embeddings.shape == (36, 8)
    assert main(["visualise", str(runs / "stgcn"), "--sides", "test", "--projections", "pca", "tsne"]) == 0
    folder = runs / "stgcn" / "embeddings"
    assert set(read_csv(folder / "clip-label.csv").labels) == {"wave", "none"}
    assert len(read_csv(folder / "clip-label.csv").videos) == 12
    assert (folder / "clip-label-tsne.png").read_bytes().startswith(b"\x89PNG")
    assert "12 clips" in capsys.readouterr().out


def test_impossible_wishes_are_refused(runs, tmp_path, capsys):
    out = ["--out", str(tmp_path / "e"), "--projections", "pca"]
    assert main(["visualise", str(runs / "stgcn"), "--of", "signer", *out]) == 2
    assert "sca-stgcn has" in capsys.readouterr().err
    assert main(["visualise", str(runs / "stgcn"), "--highlight", "jump", *out]) == 2
    assert "no clip's label is 'jump'; there are none, wave" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()
    assert main(["visualise", str(runs / "stgcn"), "--highlight", "wave", *out]) == 0


def test_a_label_that_looks_like_a_formula_is_drawn_as_it_is(tmp_path):
    plot(tmp_path / "p.png", np.zeros((5, 2), np.float32), ["$\\frac{$", "a", "a", "b", "b"])
    assert (tmp_path / "p.png").is_file()
