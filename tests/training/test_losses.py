import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training import losses
from training.losses import (
    ClassBalancedFocal,
    Dice,
    Focal,
    LossConfig,
    MutualInformation,
    contrast,
    effective_number,
    inverse_frequency,
    make,
    signer_loss,
)


def drawn(seed=0, samples=12, labels=4, spread=3.0):
    random = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(samples, labels, generator=random)
    return logits, torch.randint(labels, (samples,), generator=random)


def test_weights_against_hand_computed_numbers():
    # 6 samples of 2 labels: 6 / (2 x 4) and 6 / (2 x 2).
    torch.testing.assert_close(inverse_frequency([4, 2]), torch.tensor([0.75, 1.5]))
    # (1 - 0.5) / (1 - 0.5^n) for n = 1, 2 is 1 and 2/3; scaled to sum 2: 1.2 and 0.8.
    torch.testing.assert_close(effective_number([1, 2], beta=0.5), torch.tensor([1.2, 0.8]))
    torch.testing.assert_close(effective_number([3, 500], beta=0.0), torch.ones(2))


def test_the_effective_number_goes_from_even_weights_to_inverse_frequency():
    counts = [518, 1993, 6260]
    weights = effective_number(counts, beta=0.9999)
    assert weights.sum() == pytest.approx(3)
    assert weights[0] > weights[1] > weights[2]
    inverse = inverse_frequency(counts)
    torch.testing.assert_close(effective_number(counts, beta=1 - 1e-9), inverse * 3 / inverse.sum(), rtol=1e-4, atol=0)


def test_a_label_without_samples_is_refused_by_position():
    with pytest.raises(ValueError, match=r"\[1\]"):
        make(LossConfig(weights="inverse"), [3, 0])
    with pytest.raises(ValueError, match="counts"):
        make(LossConfig(name="class_balanced_focal"))


@pytest.mark.parametrize(
    "impossible",
    [
        {"name": "mse"},
        {"weights": "some"},
        {"smoothing": 1.0},
        {"beta": 1.0},
        {"gamma": -1.0},
        {"name": "focal", "smoothing": 0.1},
        {"name": "class_balanced_focal", "weights": "inverse"},
    ],
)
def test_impossible_settings_are_refused(impossible):
    with pytest.raises(ValueError, match="got"):
        LossConfig(**impossible)


def test_focal_against_a_hand_computed_number():
    # p of the true label is 0.25: (0.75)^2 x log 4.
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert Focal(2.0)(logits, torch.tensor([0])).item() == pytest.approx(0.75**2 * math.log(4), rel=1e-6)


def test_class_balanced_focal_against_its_published_form():
    logits, truth = drawn(spread=2.0)
    weights = effective_number([5, 10, 20, 40], beta=0.9)
    y = F.one_hot(truth, 4).double()
    z = logits.double()
    modulator = torch.exp(-2 * y * z - 2 * torch.log(1 + torch.exp(-z)))
    plain = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    published = (weights.double()[truth][:, None] * modulator * plain).sum() / len(z)
    assert ClassBalancedFocal(weights, 2.0)(logits, truth).item() == pytest.approx(published.item(), rel=1e-5)


def test_class_balanced_focal_without_focus_is_the_sum_of_binary_cross_entropies():
    logits, truth = drawn()
    plain = F.binary_cross_entropy_with_logits(logits, F.one_hot(truth, 4).float(), reduction="sum") / len(logits)
    torch.testing.assert_close(ClassBalancedFocal(torch.ones(4), 0.0)(logits, truth), plain)


@pytest.mark.parametrize("weights", ["none", "inverse", "effective"])
def test_focal_without_focus_is_cross_entropy(weights):
    logits, truth = drawn()
    counts = [5, 10, 20, 40]
    focal = make(LossConfig(name="focal", weights=weights, gamma=0.0), counts)
    torch.testing.assert_close(focal(logits, truth), make(LossConfig(weights=weights), counts)(logits, truth))


def test_smoothing_is_torchs():
    logits, truth = drawn()
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(logits, truth)
    torch.testing.assert_close(make(LossConfig(smoothing=0.1))(logits, truth), expected)


@pytest.mark.parametrize(
    "config",
    [
        LossConfig(smoothing=0.1),
        LossConfig(weights="inverse"),
        LossConfig(name="focal", weights="effective"),
        LossConfig(name="focal", gamma=0.0),
        LossConfig(name="focal", gamma=0.5),
        LossConfig(name="class_balanced_focal"),
    ],
)
@pytest.mark.parametrize("size", [0.0, 100.0, 1e4])
def test_losses_and_gradients_are_finite_at_extremes(config, size):
    logits = size * torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    for label in range(3):
        x = logits.clone().requires_grad_()
        loss = make(config, [1, 20, 300])(x, torch.full((3,), label))
        loss.backward()
        assert loss.isfinite()
        assert x.grad.isfinite().all()


def test_contrast_against_a_hand_computed_number():
    # Unit vectors at 0, 0 and 90 degrees with labels 0, 0, 1: the third has no positive, the others see 1 / t and 0.
    embeddings = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    expected = math.log(math.exp(1 / 0.5) + math.exp(0)) - 1 / 0.5
    assert contrast(embeddings, torch.tensor([0, 0, 1]), 0.5).item() == pytest.approx(expected, rel=1e-6)


def test_contrast_falls_as_two_clusters_part():
    random = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(20, 3, generator=random)
    truth = torch.arange(20) % 2
    side = F.one_hot(truth, 3).float()
    apart = [contrast(noise + distance * side, truth, 0.2).item() for distance in (0.0, 0.5, 1.0, 2.0)]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] - apart[-1] > 0.5


def test_contrast_knows_no_order_and_leaves_out_lonely_anchors():
    random = torch.Generator().manual_seed(1)
    embeddings, truth = torch.randn(9, 4, generator=random), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    order = torch.randperm(9, generator=random)
    torch.testing.assert_close(contrast(embeddings, truth), contrast(embeddings[order], truth[order]))
    lonely = torch.randn(3, 4, generator=random).requires_grad_()
    loss = contrast(lonely, torch.arange(3))
    loss.backward()
    assert loss == 0
    assert (lonely.grad == 0).all()


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("size", [0.0, 1e-20, 100.0])
def test_contrast_has_finite_gradients(samples, size):
    embeddings = (size * torch.ones(samples, 5)).requires_grad_()
    loss = contrast(embeddings, torch.zeros(samples, dtype=torch.long))
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad.isfinite().all()


def test_unknown_signers_are_left_out():
    logits, signers = drawn(labels=3)
    signers[:5] = -1
    torch.testing.assert_close(signer_loss(logits, signers), F.cross_entropy(logits[5:], signers[5:]))
    assert signer_loss(logits, torch.full_like(signers, -1)) == 0


def gaussians(correlation, seed=0, samples=2000):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 1, generator=random)
    noise = torch.randn(samples, 1, generator=random)
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


def learnt(x, y, **options):
    torch.manual_seed(0)
    estimate = MutualInformation(x.shape[1], rate=1e-2, hidden=32, **options)
    for _ in range(300):
        estimate.learn(x, y)
    return estimate


def test_information_of_gaussians_is_near_0_or_clearly_above():
    x, y = gaussians(0.0)
    assert abs(learnt(x, y, targets=1).bound(x, y, clamp=False).item()) < 0.05
    x, y = gaussians(0.9)
    true = -0.5 * math.log(1 - 0.9**2)  # 0.83 nats
    assert true * 0.9 < learnt(x, y, targets=1).bound(x, y).item()


def test_information_about_a_label():
    random = torch.Generator().manual_seed(0)
    label = torch.randint(4, (800,), generator=random)
    told = F.one_hot(label, 4).float() + 0.1 * torch.randn(800, 4, generator=random)
    untold = torch.randn(800, 4, generator=random)
    estimate = learnt(told, label, targets=4, kind="categorical")
    assert estimate.bound(told, label).item() > math.log(4) * 0.9
    estimate = learnt(untold, label, targets=4, kind="categorical")
    fresh = torch.randn(800, 4, generator=random)
    assert estimate.bound(fresh, label, clamp=False).item() < 0.05


def test_the_mean_over_all_pairs_is_that_of_the_pairs():
    torch.manual_seed(0)
    estimate = MutualInformation(3, 2)
    x, y = torch.randn(6, 3), torch.randn(6, 2)
    mean, spread = estimate.layers(x).chunk(2, dim=1)
    log_variance = 6 * torch.tanh(spread / 6)
    spans = (y[None] - mean[:, None]).square() / log_variance.exp()[:, None] + log_variance[:, None]
    pairs = -0.5 * spans.sum(dim=-1)  # (B of x, B of y)
    torch.testing.assert_close(estimate.bound(x, y, clamp=False), pairs.diagonal().mean() - pairs.mean())


def test_the_two_steps_keep_out_of_each_others_way():
    torch.manual_seed(0)
    estimate = MutualInformation(2, 2)
    x, y = torch.randn(16, 2, requires_grad=True), torch.randn(16, 2, requires_grad=True)
    before = [p.clone() for p in estimate.parameters()]
    estimate.learn(x, y)
    assert x.grad is None
    assert y.grad is None
    assert any((p != old).any() for p, old in zip(estimate.parameters(), before, strict=True))
    estimate.optimiser.zero_grad()
    estimate.bound(x, y, clamp=False).backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in estimate.parameters())


def test_a_clamped_bound_is_never_below_0():
    torch.manual_seed(0)
    estimate = MutualInformation(1, 1)
    found = [estimate.bound(*gaussians(0.0, seed, 8)).item() for seed in range(20)]
    raw = [estimate.bound(*gaussians(0.0, seed, 8), clamp=False).item() for seed in range(20)]
    assert min(raw) < 0
    assert min(found) == 0


def test_information_is_finite_for_large_inputs():
    torch.manual_seed(0)
    estimate = MutualInformation(2, 2)
    x = torch.tensor([[100.0, -100.0], [-100.0, 100.0]], requires_grad=True)
    bound = estimate.bound(x, x.detach(), clamp=False)
    bound.backward()
    assert bound.isfinite()
    assert x.grad.isfinite().all()


def test_dice_against_hand_computed_numbers():
    logits = torch.tensor([[20.0, -20.0], [-20.0, 20.0], [-20.0, 20.0], [20.0, -20.0]])[None]  # 0, 1, 1, 0
    truth = torch.tensor([[0, 1, 0, 0]])
    # Label 1: overlap 1 of 2 said and 1 true: (2 + 1) / (3 + 1); label 0: overlap 2 of 2 and 3: (4 + 1) / (5 + 1).
    assert Dice((1,))(logits, truth).item() == pytest.approx(1 - 3 / 4, abs=1e-5)
    assert Dice()(logits, truth).item() == pytest.approx(1 - (3 / 4 + 5 / 6) / 2, abs=1e-5)


def test_dice_takes_labels_together_and_skips_unlabelled_frames():
    logits, truth = drawn(samples=40, labels=3)
    merged = torch.stack([logits[:, 0], logits[:, 1:].logsumexp(dim=1)], dim=1)
    torch.testing.assert_close(Dice((1, 2))(logits, truth), Dice((1,))(merged, truth.clamp(max=1)))
    half = truth.clone()
    half[20:] = -1
    torch.testing.assert_close(Dice()(logits, half), Dice()(logits[:20], truth[:20]))
    assert Dice()(logits, torch.full_like(truth, -1)) == 0


@pytest.mark.parametrize("dice", [0.0, 0.7])
@pytest.mark.parametrize("config", [{"smoothing": 0.1}, {"name": "focal", "weights": "inverse"}])
def test_frames_without_a_label_count_nowhere(config, dice):
    loss = losses.make(losses.LossConfig(dice=dice, **config), [4, 2, 2], frames=True)
    logits, truth = torch.randn(2, 4, 3), torch.tensor([[0, 2, -1, 0], [-1, -1, 1, 2]])
    logits[1, 0] = torch.nan
    logits.requires_grad_()
    found = loss(logits, truth)
    found.backward()
    known = truth >= 0
    torch.testing.assert_close(found, loss(logits[known], truth[known]))
    of_labels = losses.make(losses.LossConfig(**config), [4, 2, 2])(logits[known], truth[known])
    torch.testing.assert_close(found - of_labels, dice * Dice()(logits[known], truth[known]), atol=1e-6, rtol=0)
    assert logits.grad is not None
    assert not logits.grad[~known].any()
    assert logits.grad[known].all()
    logits.grad = None
    nothing = loss(logits, torch.full_like(truth, -1))
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("labels", [None, (0,), (1, 2)])
def test_dice_has_finite_gradients_at_extremes(labels):
    logits = (100 * torch.tensor([[[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0]]])).requires_grad_()
    loss = Dice(labels)(logits, torch.tensor([[0, 2]]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_every_loss_of_the_config_can_be_learnt():
    logits, truth = drawn(samples=30)
    counts = np.bincount(truth.numpy(), minlength=4)
    for name in ("cross_entropy", "focal", "class_balanced_focal"):
        x = logits.clone().requires_grad_()
        loss_of, optimiser = make(losses.LossConfig(name=name), counts), torch.optim.SGD([x], lr=5.0)
        for _ in range(100):
            optimiser.zero_grad()
            loss_of(x, truth).backward()
            optimiser.step()
        assert (x.argmax(dim=1) == truth).all()
