import numpy as np
import pytest

from training import metrics


def test_binary_figures_of_a_small_case():
    scores, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])
    figures = metrics.binary(scores, truth, 0.75)
    assert figures["accuracy"] == pytest.approx(0.5)
    assert figures["f1"] == pytest.approx(0.5)
    assert figures["balanced_accuracy"] == pytest.approx(0.5)
    assert figures["roc_auc"] == pytest.approx(0.75)
    assert figures["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_takes_scores_in_any_unit():
    random = np.random.default_rng(0)
    scores, truth = random.random(50), random.integers(0, 2, 50)
    assert metrics.average_precision(scores * 30 - 5, truth) == pytest.approx(metrics.average_precision(scores, truth))


def test_multiclass_figures_leave_out_labels_that_do_not_occur():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], dtype=np.float32)
    figures = metrics.multiclass(probabilities, np.array([0, 1, 1]))
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["f1_macro"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert figures["pr_auc_macro"] == pytest.approx(1.0)


def test_the_interval_draws_whole_takes():
    right = np.array([1.0] * 90 + [0.0] * 10)

    def interval(takes):
        return metrics.intervals(lambda at: {"right": right[at].mean()}, takes.astype(str))["right"]

    of_one_take_each, of_ten_takes = interval(np.arange(100)), interval(np.arange(100) // 10)
    assert of_one_take_each[0] < 0.9 < of_one_take_each[1]
    assert of_ten_takes[1] - of_ten_takes[0] > of_one_take_each[1] - of_one_take_each[0]
    assert of_one_take_each == interval(np.arange(100))


def test_a_quiet_threshold_lets_through_no_more_than_its_share():
    scores, truth = np.linspace(0, 1, 101), np.zeros(101, dtype=np.intp)
    threshold = metrics.threshold_for(scores, truth, 0.05)
    assert (scores >= threshold).sum() == 5
    with pytest.raises(ValueError, match="no negative"):
        metrics.threshold_for(scores, truth + 1, 0.05)


def test_of_a_person_with_more_windows_each_counts_less():
    truth, persons = np.array([0, 0, 0, 1, 0]), np.array([7, 7, 8, 8, 7])
    np.testing.assert_allclose(metrics.even(truth, persons), [1 / 3, 1 / 3, 1, 1, 1 / 3])
    scores, truth = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0, 1, 0, 1, 0])
    assert metrics.balanced_threshold(scores, truth, np.array([1, 5, 1, 1, 1])) == 0.8
    assert metrics.balanced_threshold(scores, truth, np.array([1, 1, 1, 5, 1])) == 0.6


def test_a_balanced_threshold_parts_the_two_kinds():
    scores, truth = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert metrics.balanced_threshold(scores, truth) == 0.6
    assert metrics.best_f1_threshold(scores, truth) == 0.6
    with pytest.raises(ValueError, match="both kinds"):
        metrics.balanced_threshold(scores, truth * 0)


def test_of_equal_scores_the_higher_position_wins():
    same = np.zeros((1, 4))
    assert metrics.top_k(same, np.array([3]), 1) == 1
    assert metrics.top_k(same, np.array([0]), 1) == 0
    scores = np.array([[0.1, 0.5, 0.4], [0.6, 0.1, 0.3], [0.2, 0.3, 0.5]])
    assert [metrics.top_k(scores, np.array([1, 2, 0]), k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_label_said_and_never_true_counts_in_the_union_only():
    said, truth = np.array([0, 0, 2, 1]), np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(metrics.confusion(said, truth, 4)[:3, :3], [[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert metrics.mean_class_accuracy(said, truth, 4) == pytest.approx((1 + 0.5) / 2)
    assert metrics.mean_class_accuracy(said, truth, 4, over="union") == pytest.approx((1 + 0.5 + 0) / 3)


def test_roc_area_over_labels_that_can_have_one():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], dtype=np.float32)
    assert metrics.roc_auc_macro(probabilities, np.array([0, 1, 1])) == pytest.approx(1.0)
    assert np.isnan(metrics.roc_auc_macro(probabilities, np.array([1, 1, 1])))


def drawn(samples=200, labels=5, seed=0):
    random = np.random.default_rng(seed)
    logits = 2 * random.standard_normal((samples, labels))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), random.integers(labels, size=samples)


def test_calibration_error_is_that_of_the_reliability_plot():
    probabilities, truth = drawn()
    confidence, right, samples = metrics.reliability(probabilities, truth)
    filled = samples > 0
    by_hand = (samples * np.abs(right - confidence))[filled].sum() / samples.sum()
    assert metrics.calibration_error(probabilities, truth) == pytest.approx(by_hand, abs=1e-5)
    assert samples.sum() == len(truth)


def test_who_is_sure_and_right_is_calibrated():
    sure = np.eye(3, dtype=np.float32)
    assert metrics.calibration_error(sure, np.arange(3)) == pytest.approx(0, abs=1e-6)
    assert metrics.calibration_error(sure, np.array([1, 2, 0])) == pytest.approx(1, abs=1e-6)


def test_persons_one_by_one_and_as_an_interval():
    right = np.array([True] * 8 + [False] * 2 + [True] * 5 + [False] * 5)
    persons = np.array([1] * 10 + [2] * 10)
    assert metrics.accuracy_by(right, persons) == {"1": 0.8, "2": 0.5}
    low, high = metrics.accuracy_interval(right, persons)
    assert (low, high) == (0.5, 0.8)
    assert metrics.accuracy_interval(right, np.ones(20)) == (0.65, 0.65)


def test_all_figures_of_a_classification():
    probabilities, truth = drawn()
    clips, persons = np.arange(200) // 4, np.arange(200) // 50
    figures = metrics.classification(probabilities, truth, clips, persons, draws=20)
    assert figures["top_5"] == 1
    assert figures["accuracy_low"] <= figures["accuracy"] <= figures["accuracy_high"]
    assert figures["accuracy_worst_person"] <= figures["accuracy"]
    assert figures["mean_class_accuracy_union"] <= figures["mean_class_accuracy"]
    assert "accuracy_persons_low" not in metrics.classification(probabilities, truth, clips, clips * 0, draws=20)
