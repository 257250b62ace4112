import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training import ensemble
from training.ensemble import Result, ResultError, combine, read, search, write


def streams(samples=120, labels=4, seed=0):
    """A good, a middling and a useless stream of logits, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(labels, size=samples)
    right = np.eye(labels)[truth]
    return [clue * right + random.standard_normal((samples, labels)) for clue in (2.0, 1.0, 0.0)], truth


def test_a_mixture_is_a_weighted_mean():
    one, other = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    np.testing.assert_allclose(combine([one, other], (3, 1)), [[0.75, 0.5]])
    np.testing.assert_allclose(combine([one, other], (6, 2)), combine([one, other], (3, 1)))


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (-1.0, 2.0)])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="got"):
        combine([np.zeros((2, 3)), np.zeros((2, 3))], weights)


def test_streams_of_other_samples_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\), \(4, 3\)"):
        combine([np.zeros((2, 3)), np.zeros((4, 3))], (1, 1))
    with pytest.raises(ValueError, match="truth"):
        search([np.zeros((2, 3))], np.zeros(5, np.intp))


def test_the_search_leaves_out_what_does_not_help():
    found, truth = streams()
    mixture = search(found, truth)
    assert mixture.weights[0] > mixture.weights[2]
    assert mixture.accuracy >= max(mixture.equal, *mixture.alone)
    assert mixture.accuracy > mixture.equal
    assert mixture == search(found, truth)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(["logits", "probabilities"]))
def test_a_search_is_never_worse_than_its_starts(seed, kind):
    found, truth = streams(samples=30, seed=seed)
    if kind == "probabilities":
        found = [np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in found]
    mixture = search(found, truth, kind, grid=(0, 0.5, 1, 2))
    assert mixture.accuracy >= max(mixture.equal, *mixture.alone)
    mixed = combine(found, mixture.weights)
    assert (mixed.argmax(axis=1) == truth).mean() == mixture.accuracy


def test_equal_accuracy_goes_to_the_likelier_truth():
    truth = np.array([0, 1])
    sure, unsure = np.array([[4.0, 0.0], [0.0, 4.0]]), np.array([[0.1, 0.0], [0.0, 0.1]])
    mixture = search([unsure, sure], truth)
    assert mixture.weights[0] == 0
    assert mixture.weights[1] > 0


def test_pyskl_files_both_ways(tmp_path):
    scores = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    write(tmp_path / "result.pkl", Result(scores))
    np.testing.assert_array_equal(read(tmp_path / "result.pkl").scores, scores)
    with (tmp_path / "result.pkl").open("rb") as file:
        theirs = pickle.load(file)  # noqa: S301 (our own)
    assert isinstance(theirs, list)
    assert theirs[0].shape == (3,)


def test_dsta_slr_files_both_ways_and_in_another_order(tmp_path):
    scores = np.arange(6, dtype=np.float32).reshape(3, 2)
    write(tmp_path / "joint.pkl", Result(scores, ("a", "b", "c")), form="dsta_slr")
    found = read(tmp_path / "joint.pkl")
    assert found.names == ("a", "b", "c")
    np.testing.assert_array_equal(found.ordered(["c", "a"]), scores[[2, 0]])
    with pytest.raises(ResultError, match="d"):
        found.ordered(["a", "d"])
    with pytest.raises(ValueError, match="names"):
        write(tmp_path / "x.pkl", Result(scores), form="dsta_slr")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        [np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float16)],
        [[1.0, 2.0], [3, 4]],
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        [np.array([[1.0, 2.0]]), np.array([[2.0, 5.0], [4.0, 3.0]])],
        {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])},
        [("a", np.array([1.0, 2.0])), ("b", [np.float64(3.0), np.float32(4.0)])],
    ],
)
def test_every_form_and_protocol_is_read(tmp_path, content, protocol):
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    np.testing.assert_array_equal(read(path).scores, [[1, 2], [3, 4]])


def test_numpy_2_names_its_arrays_otherwise(tmp_path):
    path = tmp_path / "result.pkl"
    content = pickle.dumps([np.array([1.0, 2.0])], protocol=2).replace(b"numpy.core.", b"numpy._core.")
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path).scores, [[1, 2]])


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("content", [Harm(), [Harm()], {"a": Harm()}, [torch.zeros(3)], np.array([Harm()], object)])
def test_a_pickle_that_names_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ResultError, match="names"):
        read(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps([]), pickle.dumps("text"), pickle.dumps([[1.0], [1.0, 2.0]])]
)
def test_what_holds_no_answers_is_refused(tmp_path, content):
    path = tmp_path / "result.pkl"
    path.write_bytes(content)
    with pytest.raises(ResultError):
        read(path)


def test_published_weights_are_for_two_or_four_streams():
    assert {len(weights) for weights in ensemble.PUBLISHED.values()} == {2, 4}
