"""Windows depend on their number alone, whoever draws them; and who draws them ends with the fit."""

import multiprocessing
import signal
import subprocess
import sys

import numpy as np
import pytest

from training.batches import Batches, seed_of

# Two processes draw more than a pipe holds, and the one that asked dies like a machine that loses power.
DIES = """
import os, signal
from tests.training.test_batches import Noise
from training.batches import Batches

batches = Batches(Noise(), seed=0, size=100).drawn(range(100), workers=2)
next(batches)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Noise:
    def draw(self, random):
        return random.random((8, 21, 3), dtype=np.float32), int(random.integers(3)), int(random.integers(5))


class Broken:
    def draw(self, random):
        raise ValueError("no clip shows 'hello'")


def joined(parts):
    return tuple(np.concatenate(values) for values in zip(*parts, strict=True))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_window_depends_on_its_number_alone():
    large, small = Batches(Noise(), seed=3, size=12), Batches(Noise(), seed=3, size=4)
    assert same(large[2], joined([small[6], small[7], small[8]]))
    assert not same(large[2], large[3])
    assert not same(large[2], Batches(Noise(), seed=4, size=12)[2])


def test_processes_share_a_batch():
    whole = Batches(Noise(), seed=0, size=12)
    parts = [Batches(Noise(), seed=0, size=12, rank=rank, ranks=3) for rank in range(3)]
    assert all(same(whole[number], joined([part[number] for part in parts])) for number in (0, 5))
    with pytest.raises(ValueError, match="a batch of 12 cannot be shared by 5 processes"):
        Batches(Noise(), seed=0, size=12, ranks=5)


def test_seeds_differ_by_every_number_and_by_how_many_there_are():
    seeds = [seed_of(*numbers) for numbers in ((0,), (0, 0), (0, 1), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0))]
    assert len({tuple(seed.generate_state(4)) for seed in seeds}) == len(seeds)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more processes than there are cores
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_their_order_and_who_draws_them_goes(workers):
    batches = Batches(Noise(), seed=0, size=4)
    before = multiprocessing.active_children()
    drawn = batches.drawn(range(3, 7), workers)
    assert len(multiprocessing.active_children()) == len(before) + workers
    assert all(same(batch, batches[number]) for number, batch in zip(range(3, 7), drawn, strict=True))
    unfinished = batches.drawn(range(100), workers)
    next(unfinished)
    del drawn, unfinished
    assert multiprocessing.active_children() == before


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_drawing_is_the_users(workers):
    with pytest.raises(ValueError, match="no clip shows 'hello'"):
        next(Batches(Broken(), seed=0, size=4).drawn(range(2), workers))


@pytest.mark.slow
def test_who_draws_does_not_outlive_a_fit_that_is_killed():
    # The pipe of stdout closes when its last process is gone.
    command = [sys.executable, "-c", DIES]
    killed = subprocess.run(command, timeout=100, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
