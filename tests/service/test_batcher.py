import asyncio
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batcher import Batcher
from service.engine import batch_sizes
from service.metrics import Metrics
from tests.fakes import manifest

JOINTS = 27


class Adder:
    """Says the sum of each window; notes the batch sizes it was run with; can be held up."""

    provider = wanted = "Adder"
    places = None

    def __init__(self):
        self.manifest = manifest(frames=1)
        self.sizes = []
        self.free = threading.Event()
        self.free.set()
        self.running = threading.Event()

    def predict(self, windows, steps=()):
        self.running.set()
        assert self.free.wait(30)
        self.sizes.append(len(windows))
        if np.isinf(windows).any():
            raise RuntimeError("scripted")
        return np.nan_to_num(windows).sum(axis=(1, 2, 3))[:, None]


def window(value):
    return np.full((1, JOINTS, 3), value, np.float32)


def run(engine, work, max_batch=8, max_pending=100):
    async def main():
        batcher = Batcher(engine, Metrics(), max_batch, max_pending)
        await batcher.start()
        engine.sizes.clear()
        engine.running.clear()
        try:
            return await work(batcher)
        finally:
            await batcher.stop()

    return asyncio.run(main())


@given(st.integers(1, 200))
def test_batch_sizes_double_up_to_the_largest(largest):
    sizes = batch_sizes(largest)
    assert (sizes[0], sizes[-1]) == (1, largest)
    assert all(after <= 2 * before for before, after in itertools.pairwise(sizes))


def test_every_size_is_run_before_the_first_window():
    engine = Adder()

    async def main():
        batcher = Batcher(engine, Metrics(), 8, 100)
        await batcher.start()
        await batcher.stop()

    asyncio.run(main())
    assert engine.sizes == [1, 2, 4, 8]


def test_what_gathers_during_a_run_goes_together_and_each_gets_its_own_answer():
    engine = Adder()

    async def work(batcher):
        engine.free.clear()
        first = await batcher.submit(window(1))
        await asyncio.to_thread(engine.running.wait, 30)
        rest = [await batcher.submit(window(i)) for i in range(2, 15)]
        engine.free.set()
        return [float((await answer)[0]) for answer in [first, *rest]]

    assert run(engine, work) == [i * JOINTS * 3 for i in range(1, 15)]
    assert engine.sizes == [1, 8, 5]


def test_a_full_queue_makes_who_submits_wait():
    engine = Adder()

    async def work(batcher):
        engine.free.clear()
        for i in range(3):
            await batcher.submit(window(i))
        fourth = asyncio.create_task(batcher.submit(window(3)))
        done, _ = await asyncio.wait({fourth}, timeout=0)
        assert not done
        engine.free.set()
        return float((await (await fourth))[0])

    assert run(engine, work, max_pending=3) == 3 * JOINTS * 3


def test_a_failing_run_fails_its_windows_and_the_next_run_goes_on():
    async def work(batcher):
        bad = await batcher.submit(window(np.inf))
        with pytest.raises(RuntimeError, match="scripted"):
            await bad
        return float((await (await batcher.submit(window(1))))[0])

    assert run(Adder(), work) == JOINTS * 3
