import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inbox import Inbox
from service.wire import LandmarkFrame, PictureFrame


def landmarks(seq):
    return LandmarkFrame(seq, seq / 10, np.zeros((1, 75, 3), np.float32))


def picture(seq):
    return PictureFrame(seq, seq / 10, b"picture")


async def all_of(inbox):
    return [(await inbox.get())[1] for _ in range(len(inbox))]


@pytest.mark.parametrize(
    ("overflow", "kept"), [("auto", picture), ("drop_oldest", picture), ("drop_oldest", landmarks)]
)
@given(count=st.integers(0, 9))
def test_a_full_inbox_drops_the_oldest_and_says_which(overflow, kept, count):
    async def main():
        inbox = Inbox(3, 3, overflow)
        gone = [await inbox.put(kept(seq)) for seq in range(count)]
        waiting = await all_of(inbox)
        assert [frame.seq for frame in gone if frame is not None] == list(range(max(0, count - 3)))
        assert [frame.seq for frame in waiting] == list(range(max(0, count - 3), count))

    asyncio.run(main())


@pytest.mark.parametrize(("overflow", "kept"), [("auto", landmarks), ("block", picture), ("block", landmarks)])
def test_who_hears_waits_for_room_where_nothing_may_be_dropped(overflow, kept):
    async def main():
        inbox = Inbox(2, 2, overflow)
        heard = [asyncio.create_task(inbox.put(kept(seq))) for seq in range(5)]
        looked = []
        for _ in range(5):
            looked.append((await inbox.get())[1].seq)
            assert len(inbox) <= 2
        assert looked == list(range(5))
        assert [await one for one in heard] == [None] * 5

    asyncio.run(main())


def test_order_is_kept_between_frames_and_all_else():
    async def main():
        inbox = Inbox(2, 2, "drop_oldest")
        for heard in (picture(0), "flush", picture(1), "stop", picture(2)):
            await inbox.put(heard)
        waiting = await all_of(inbox)
        assert [getattr(heard, "seq", heard) for heard in waiting] == ["flush", 1, "stop", 2]

    asyncio.run(main())


def test_what_is_offered_never_waits_and_is_bounded():
    async def main():
        inbox = Inbox(2, 2, "auto")
        taken = [inbox.offer(i) for i in range(100)]
        assert taken == [True] * 64 + [False] * 36
        assert await all_of(inbox) == list(range(64))
        assert inbox.offer("again")

    asyncio.run(main())
