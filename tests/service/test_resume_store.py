import asyncio
import math
import shutil
import struct
import subprocess
from contextlib import suppress

import fakeredis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from redis.asyncio import Redis

from service.errors import BadSnapshot, SessionMoved, StoreUnavailable
from service.metrics import Metrics
from service.resume import RedisStore, open_store, pack, unpack
from service.settings import Settings

DTYPES = st.one_of(
    npst.scalar_dtypes(),
    npst.byte_string_dtypes(min_len=1),
    npst.unicode_string_dtypes(min_len=1),
    npst.array_dtypes(npst.integer_dtypes() | npst.floating_dtypes(), allow_subarrays=True),
)
ARRAYS = npst.arrays(DTYPES, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(),
    st.just("$"),
    ARRAYS,
)
KEYS = st.text() | st.just("$")
SNAPSHOTS = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda some: st.lists(some) | st.dictionaries(KEYS, some), max_leaves=15),
    max_size=4,
)


def bits(value):
    """Something that is equal only where types, dtypes, shapes and all bits are."""
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.descr, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if isinstance(value, dict):
        return {key: bits(one) for key, one in value.items()}
    if isinstance(value, list):
        return [bits(one) for one in value]
    return (type(value), value)


@pytest.mark.slow
@settings(max_examples=60)
@given(SNAPSHOTS)
def test_what_is_packed_is_unpacked_to_the_bit(snapshot):
    assert bits(unpack(pack(snapshot))) == bits(snapshot)


def test_a_nan_keeps_its_payload_and_zero_its_sign():
    (nan,) = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_BEEF))
    quiet = np.array([0x7FC0_BEEF, 0xFF80_0000, 0x8000_0000, 1], "<u4").view("<f4")
    snapshot = {"numbers": [nan, math.inf, -math.inf, -0.0, 5e-324], "array": quiet}
    assert bits(unpack(pack(snapshot))) == bits(snapshot)


def test_arrays_come_back_in_c_order_writable_and_with_no_share_in_anything():
    across = np.arange(24, dtype=np.float32).reshape(4, 6)
    back = unpack(pack({"f": np.asfortranarray(across), "strided": across[::2, ::-1], "twice": [across, across]}))
    np.testing.assert_array_equal(back["f"], across)
    np.testing.assert_array_equal(back["strided"], across[::2, ::-1])
    assert all(array.flags.c_contiguous and array.flags.owndata and array.flags.writeable for array in back["twice"])
    back["twice"][0][:] = 0
    np.testing.assert_array_equal(back["twice"][1], across)


@pytest.mark.parametrize(
    "alien",
    [
        (1, 2),
        {1: 2},
        {1, 2},
        b"bytes",
        2**64,
        np.float64(1),
        np.array([object()]),
        np.array([(1, None)], [("a", "i4"), ("b", "O")]),
        np.ma.masked_array([1]),
        "\ud800",
        np.float32,
    ],
)
def test_what_would_not_come_back_as_it_was_is_refused(alien):
    with pytest.raises(BadSnapshot, match="cannot hold"):
        pack({"deep": [{"down": alien}]})


def test_a_snapshot_that_holds_itself_is_refused():
    snapshot = {}
    snapshot["again"] = snapshot
    with pytest.raises(BadSnapshot, match="cannot hold"):
        pack(snapshot)


def head(text, rest=b"", magic=b"SSNP", version=1):
    return struct.pack("<4sII", magic, version, len(text)) + text + rest


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"SSNP",
        head(b"[{},[]]", magic=b"PK\3\4"),
        head(b"[{},[]]", version=2),
        head(b"[{},[]]", b"more"),
        head(b"[{},[]]")[:-1],
        head(b"[[],[]]"),
        head(b"{}"),
        head(b"[{}]"),
        head(b'[{"a":{"$":null}},[]]'),
        head(b'[{},[["<f4",[1]]]]', bytes(4)),  # an array that nobody speaks of
        head(b'[{"a":{"$":null}},[["<f4",[2]]]]', bytes(4)),
        head(b'[{"a":{"$":null}},[["<f4",[-1]]]]', bytes(4)),
        head(b'[{"a":{"$":null}},[["<f4",[0.5]]]]', bytes(4)),
        head(b'[{"a":{"$":null}},[["<f4",[4611686018427387904]]]]', bytes(4)),
        head(b'[{"a":{"$":null}},[["|O",[1]]]]', bytes(8)),
        head(b'[{"a":{"$":null}},[["f4,O",[1]]]]', bytes(12)),
        head(b'[{"a":{"$":null}},[[[["a","|O"]],[1]]]]', bytes(8)),
        head(b'[{"a":{"$":null}},[[3,[1]]]]', bytes(8)),
        head(b'[{"a":{"$":"7ff8"}},[]]'),
        head(b'[{"a":{"$":"xyz"}},[]]'),
        head(b'[{"a":{"$":1}},[]]'),
        head(b'[{"a":{"$":null,"b":1}},[]]'),
        head(b"[" * 2000 + b"]" * 2000),
    ],
)
def test_bytes_that_are_no_snapshot_are_refused(damaged):
    with pytest.raises(BadSnapshot):
        unpack(damaged)


@settings(max_examples=60)
@given(SNAPSHOTS, st.data())
def test_damage_is_refused_or_read_as_something_but_never_fails_otherwise(snapshot, data):
    packed = bytearray(pack(snapshot))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)))
    for damaged in (bytes(packed), bytes(packed[:cut])):
        with suppress(BadSnapshot):
            assert isinstance(unpack(damaged), dict)


@pytest.fixture(params=["fakeredis", "redis-server"])
def redis(request, tmp_path):
    """Makes clients of one and the same Redis: a scripted one, and a real one where it is installed."""
    if request.param == "fakeredis":
        server = fakeredis.FakeServer()
        yield lambda: fakeredis.FakeAsyncRedis(server=server)
        return
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    path = tmp_path / "socket"
    command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        path,
        "--save",
        "",
        "--dir",
        tmp_path,
        "--daemonize",
        "no",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            while "eady to accept connections" not in process.stdout.readline():
                assert process.poll() is None, "redis-server does not start"
            yield lambda: Redis(unix_socket_path=str(path))
        finally:
            process.kill()  # it has nothing to save


def with_stores(redis, work):
    """`work(old, new)`: two instances of the service with one Redis."""

    async def main():
        stores = [RedisStore(redis(), owner, 5.0, Metrics()) for owner in ("old", "new")]
        try:
            return await work(*stores)
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(main())


def test_what_one_instance_saves_another_loads(redis):
    snapshot = pack({"state": np.arange(70_000, dtype=np.float32), "last_s": -math.inf})

    async def work(old, new):
        await old.save("abc", b"earlier", 60)
        await old.save("abc", snapshot, 60)
        return [await store.load(session) for store in (old, new) for session in ("abc", "other")]

    assert with_stores(redis, work) == [snapshot, None, snapshot, None]


def test_who_takes_a_session_owns_it_and_the_earlier_owner_is_told_at_its_next_save(redis):
    async def work(old, new):
        await old.save("abc", b"1", 60)
        assert await new.take("abc") == b"1"
        with pytest.raises(SessionMoved, match="abc"):
            await old.save("abc", b"2", 60)
        await new.save("abc", b"3", 60)
        await old.forget("abc")  # not its own any more
        assert await new.load("abc") == b"3"
        assert await old.take("abc") == b"3"  # and back
        with pytest.raises(SessionMoved):
            await new.save("abc", b"4", 60)
        await old.save("abc", b"5", 60)
        return await new.load("abc")

    assert with_stores(redis, work) == b"5"


def test_of_many_that_take_at_once_one_owns(redis):
    async def main():
        stores = [RedisStore(redis(), f"instance-{i}", 5.0, Metrics()) for i in range(8)]
        await stores[0].save("abc", b"0", 60)
        assert set(await asyncio.gather(*(store.take("abc") for store in stores))) == {b"0"}
        saved = await asyncio.gather(*(store.save("abc", b"1", 60) for store in stores), return_exceptions=True)
        for store in stores:
            await store.close()
        return [type(one) for one in saved]

    assert sorted(map(str, asyncio.run(main()))) == sorted(map(str, [type(None)] + [SessionMoved] * 7))


def test_nothing_is_taken_where_nothing_was_saved(redis):
    async def work(old, new):
        assert await new.take("abc") is None
        await old.save("abc", b"1", 60)
        return await old.load("abc")

    assert with_stores(redis, work) == b"1"


def test_a_session_that_is_over_is_not_saved_again_by_whoever_ran_it_before(redis):
    async def work(old, new):
        await old.save("abc", b"1", 60)
        await new.take("abc")
        await new.forget("abc")
        for store in (old, new):
            with pytest.raises(SessionMoved):
                await store.save("abc", b"2", 60)
        return await old.load("abc"), await new.take("abc")

    assert with_stores(redis, work) == (None, None)


def test_each_save_keeps_for_its_time_and_taking_for_no_longer(redis):
    async def work(old, new):
        client = redis()
        await old.save("abc", b"1", 1000)
        await old.save("abc", b"2", 50)
        await new.take("abc")
        left = await client.pttl("signstream:session:abc")
        await old.save("short", b"1", 0.0001)
        while await new.load("short") is not None:
            pass
        await client.aclose()
        return left

    assert 0 < with_stores(redis, work) <= 50_000


def test_a_redis_that_lost_everything_is_given_the_session_anew(redis):
    async def work(old, new):
        await old.save("abc", b"1", 60)
        client = redis()
        await client.flushall()
        await client.aclose()
        await old.save("abc", b"2", 60)
        return await new.take("abc")

    assert with_stores(redis, work) == b"2"


def failures(metrics):
    return {call: metrics.store_failures.labels(call)._value.get() for call in ("save", "take", "load", "forget")}


def test_a_redis_that_goes_is_told_and_one_that_comes_back_is_used(caplog):
    server, metrics = fakeredis.FakeServer(), Metrics()
    caplog.set_level("INFO")

    async def main():
        store = RedisStore(fakeredis.FakeAsyncRedis(server=server), "old", 5.0, metrics)
        await store.save("abc", b"1", 60)
        server.connected = False
        for call in (store.save("abc", b"2", 60), store.save("abc", b"3", 60), store.load("abc"), store.forget("abc")):
            with pytest.raises(StoreUnavailable):
                await call
        server.connected = True
        await store.save("abc", b"4", 60)
        return await store.take("abc")

    assert asyncio.run(main()) == b"4"
    assert failures(metrics) == {"save": 2, "take": 0, "load": 1, "forget": 1}
    said = [record.levelname for record in caplog.records if record.name == "signstream.resume"]
    assert said == ["WARNING", "INFO"]


def test_a_redis_that_is_silent_is_given_up_in_time():
    """A server that takes connections and never answers."""

    async def silence(reader, writer):
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(silence, "127.0.0.1")
        port, metrics = server.sockets[0].getsockname()[1], Metrics()
        store = open_store(Settings(redis_url=f"redis://:hunter2@127.0.0.1:{port}", redis_timeout_s=0.05), metrics)
        with pytest.raises(StoreUnavailable) as failed:
            await store.save("abc", b"1", 60)
        await store.close()
        server.close()
        await server.wait_closed()
        return failures(metrics)["save"], str(failed.value)

    count, told = asyncio.run(main())
    assert count == 1
    assert "hunter2" not in told


def test_a_redis_that_is_not_there_is_told():
    async def main():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        store = open_store(Settings(redis_url=f"redis://127.0.0.1:{port}"), Metrics())
        with pytest.raises(StoreUnavailable):
            await store.take("abc")
        await store.close()

    asyncio.run(main())


def test_without_redis_there_is_no_store():
    assert open_store(Settings(), Metrics()) is None


@pytest.mark.parametrize("name", ["REDIS_URL", "SIGNSTREAM_REDIS_URL"])
def test_redis_is_named_with_the_prefix_or_without(name, monkeypatch):
    monkeypatch.setenv(name, "redis://:hunter2@somewhere:6379/0")
    read = Settings()
    assert read.redis_url.get_secret_value() == "redis://:hunter2@somewhere:6379/0"
    assert "hunter2" not in repr(read)
    monkeypatch.setenv(name, "")
    assert Settings().redis_url is None
