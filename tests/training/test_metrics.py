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


def test_a_balanced_threshold_parts_the_two_kinds():
    scores, truth = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert metrics.balanced_threshold(scores, truth) == 0.6
    assert metrics.best_f1_threshold(scores, truth) == 0.6
    with pytest.raises(ValueError, match="both kinds"):
        metrics.balanced_threshold(scores, truth * 0)
