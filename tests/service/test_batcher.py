import asyncio
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batcher import Batcher
from service.engine import batch_sizes
from service.errors import Late
from service.metrics import Metrics
from service.states import Places
from tests.fakes import manifest
from tests.graphs import leaky_manifest

JOINTS = 27


class Adder:
    """Says the sum of each window; notes the batch sizes it was run with; can be held up."""

    provider = wanted = "Adder"
    places = None
    together = False

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


def run(engine, work, max_batch=8, max_pending=100, **options):
    async def main():
        batcher = Batcher(engine, Metrics(), max_batch, max_pending, **options)
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


def test_what_comes_alone_waits_for_company_no_longer_than_until_the_batch_is_full():
    engine = Adder()

    async def work(batcher):
        waiting = [await batcher.submit(window(i)) for i in range(8)]
        return [float((await answer)[0]) for answer in waiting]

    assert run(engine, work, wait_s=3600) == [i * JOINTS * 3 for i in range(8)]
    assert engine.sizes == [8]


def test_what_has_waited_for_company_long_enough_is_run():
    now = iter([0.0, *[9.0] * 99])  # when it came, and ever after

    async def work(batcher):
        return float((await (await batcher.submit(window(1))))[0])

    assert run(Adder(), work, wait_s=5, clock=lambda: next(now)) == JOINTS * 3


def test_what_is_late_is_not_run_but_counted_and_told_and_what_came_in_time_is():
    engine, metrics, now = Adder(), Metrics(), [0.0]

    async def main():
        batcher = Batcher(engine, metrics, 8, 100, deadline_s=1.0, clock=lambda: now[0])
        await batcher.start()
        engine.sizes.clear()
        engine.running.clear()
        try:
            engine.free.clear()
            going = await batcher.submit(window(1))
            await asyncio.to_thread(engine.running.wait, 30)
            late = [await batcher.submit(window(2)) for _ in range(3)]
            now[0] = 1.5
            in_time = await batcher.submit(window(3))
            engine.free.set()
            assert float((await going)[0]) == JOINTS * 3
            for one in late:
                with pytest.raises(Late, match="within 1 s"):
                    await one
            assert float((await in_time)[0]) == 3 * JOINTS * 3
        finally:
            await batcher.stop()

    asyncio.run(main())
    assert engine.sizes == [1, 1]
    assert b'signstream_late_windows_total{model="signing"} 3.0' in metrics.text()


def test_who_waits_when_the_batcher_stops_is_cancelled():
    engine = Adder()

    async def main():
        batcher = Batcher(engine, Metrics(), 8, 100)
        await batcher.start()
        engine.running.clear()
        engine.free.clear()
        going = await batcher.submit(window(1))
        await asyncio.to_thread(engine.running.wait, 30)
        waiting = await batcher.submit(window(2))
        stopping = asyncio.create_task(batcher.stop())
        await asyncio.sleep(0)
        engine.free.set()
        await stopping
        assert float((await going)[0]) == JOINTS * 3
        assert waiting.cancelled()
        assert (await batcher.submit(window(3))).cancelled()

    asyncio.run(main())


class Diary:
    """A stream model that notes which rows each run stepped, and what they were given."""

    provider = wanted = "Diary"

    def __init__(self):
        self.manifest = leaky_manifest(manifest())
        self.places = Places(8)
        self.together = True
        self.runs = []
        self.free = threading.Event()
        self.free.set()
        self.running = threading.Event()
        self.sizes = []

    def predict(self, frames, steps):
        self.running.set()
        assert self.free.wait(30)
        self.runs.append(
            [(step.place.row, step.fresh, float(frame[0, 0])) for frame, step in zip(frames, steps, strict=True)]
        )
        return frames[:, 0, :2]


def test_steps_of_one_stream_go_one_run_after_the_other_and_those_of_several_together():
    engine = Diary()

    def frames(*values):
        return np.stack([np.full((JOINTS, 3), value, np.float32) for value in values])

    async def work(batcher):
        engine.runs.clear()
        one, other = engine.places.take(), engine.places.take()
        engine.free.clear()
        first = await batcher.submit(frames(0), one, True)
        await asyncio.to_thread(engine.running.wait, 30)
        rest = [
            await batcher.submit(frames(1), one),
            await batcher.submit(frames(2), one),
            await batcher.submit(frames(10, 11, 12), other, True),
            await batcher.submit(frames(3), one),
        ]
        engine.free.set()
        said = [float((await answer)[0]) for answer in (first, *rest)]
        return said, one.row, other.row

    said, one, other = run(engine, work)
    assert said == [0, 1, 2, 12, 3]
    assert engine.runs == [
        [(one, True, 0)],
        [(one, False, 1), (other, True, 10)],
        [(one, False, 2), (other, False, 11)],
        [(other, False, 12), (one, False, 3)],
    ]


def test_a_place_is_not_lent_again_while_a_step_on_it_waits():
    engine = Diary()

    async def work(batcher):
        place = engine.places.take()
        free = engine.places.free
        engine.free.clear()
        answer = await batcher.submit(np.zeros((1, JOINTS, 3), np.float32), place, True)
        await asyncio.to_thread(engine.running.wait, 30)
        answer.cancel()
        del place
        assert engine.places.free == free
        engine.free.set()
        await (await batcher.submit(np.zeros((1, JOINTS, 3), np.float32), engine.places.take(), True))

    run(engine, work)
    assert engine.places.free == 8


class Witness(Diary):
    """Notes which thread ran each run."""

    def __init__(self):
        super().__init__()
        self.threads = []

    def predict(self, frames, steps):
        self.threads.append(threading.current_thread())
        return super().predict(frames, steps)


@pytest.mark.parametrize(("spot_s", "here"), [(0.0, False), (60.0, True)])
def test_a_run_that_is_short_enough_is_made_where_it_was_asked_for(spot_s, here):
    engine = Witness()

    async def work(batcher):
        engine.threads.clear()
        places = [engine.places.take() for _ in range(5)]
        frames = [np.full((2, JOINTS, 3), i, np.float32) for i in range(5)]
        work = [await batcher.submit(each, place, True) for each, place in zip(frames, places, strict=True)]
        said = [float((await answer)[0]) for answer in work]
        again = await batcher.submit(frames[3][:1], places[3])
        return said, float((await again)[0])

    assert run(engine, work, spot_s=spot_s) == ([0, 1, 2, 3, 4], 3)
    # The second frames of streams that came together wait for the first ones, and are the thread's either way.
    assert (threading.main_thread() in engine.threads) == here
    assert (engine.threads[-1] is threading.main_thread()) == here


def test_more_than_the_event_loop_has_time_for_is_the_threads():
    engine = Witness()

    async def work(batcher):
        engine.threads.clear()
        return await (await batcher.submit(np.full((1, JOINTS, 3), 7, np.float32), engine.places.take(), True))

    assert run(engine, work, spot_s=1e-12)[0] == 7
    assert threading.main_thread() not in engine.threads


def test_what_fails_on_the_spot_fails_its_own_rows_alone():
    async def work(batcher):
        bad = await batcher.submit(window(np.inf))
        with pytest.raises(RuntimeError, match="scripted"):
            await bad
        return float((await (await batcher.submit(window(1.0))))[0])

    assert run(Adder(), work, spot_s=60.0) == JOINTS * 3
