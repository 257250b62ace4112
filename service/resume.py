"""What a session needs to go on elsewhere: a snapshot in bytes, and a store in Redis where one instance owns it."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import struct
import uuid
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import orjson
from numpy.lib import format as npy
from numpy.typing import NDArray

from service.errors import BadSnapshot, SessionMoved, StoreUnavailable
from service.metrics import Metrics
from service.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger("signstream.resume")

_HEAD = struct.Struct("<4sII")
"""Magic, version, length of the JSON that follows; then the arrays' bytes, one after the other."""
_MAGIC, _VERSION = b"SSNP", 1
_FLOAT = struct.Struct("<d")
_TAG = "$"
"""The only key of an object that stands for what JSON has no words for: the next array (null), a float's bytes (hex),
an object that has this key itself (object)."""
_DTYPE = re.compile(r"[<>|][biufcmMSUV]\d+(\[\d*[a-zA-Z]+\])?")


def pack(snapshot: dict[str, Any]) -> bytes:
    """Nested dicts and lists of str, int (64 bits), float, bool, None and arrays of any dtype but object, exact to the
    bit. Raises BadSnapshot for anything else, a tuple or a numpy scalar too.
    """
    arrays: list[NDArray[Any]] = []
    try:
        tree = _plain(snapshot, arrays)
        head = orjson.dumps([tree, [[npy.dtype_to_descr(one.dtype), one.shape] for one in arrays]])
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise BadSnapshot(f"a snapshot cannot hold this: {error}") from error
    return b"".join([_HEAD.pack(_MAGIC, _VERSION, len(head)), head, *(_bytes(one) for one in arrays)])


def unpack(packed: bytes) -> dict[str, Any]:
    """What was packed; arrays in C order, writable, their own. Raises BadSnapshot for bytes that are no snapshot."""
    if len(packed) < _HEAD.size:
        raise BadSnapshot(f"{len(packed)} bytes are no snapshot")
    magic, version, length = _HEAD.unpack_from(packed)
    if (magic, version) != (_MAGIC, _VERSION):
        raise BadSnapshot(f"not a snapshot of version {_VERSION}: it begins with {packed[:8].hex()}")
    end = _HEAD.size + length
    try:
        tree, kinds = orjson.loads(memoryview(packed)[_HEAD.size : end])
        arrays: list[NDArray[Any]] = []
        for descr, shape in kinds:
            dtype = npy.descr_to_dtype(_descr(descr))
            arrays.append(np.ndarray(shape, dtype, packed, end).copy())
            end += math.prod(shape) * dtype.itemsize
        rest = iter(arrays)
        snapshot = _restored(tree, rest)
        if end != len(packed) or next(rest, None) is not None or not isinstance(snapshot, dict):
            raise ValueError(f"its head tells of {end} bytes and {len(arrays)} arrays, it has {len(packed)} bytes")
    except (ArithmeticError, RecursionError, StopIteration, TypeError, ValueError, struct.error) as error:
        raise BadSnapshot(f"a damaged snapshot: {error}") from error
    return snapshot


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """As JSON has words for it; arrays are put aside."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else {_TAG: _FLOAT.pack(value).hex()}
    if value is None or kind is int or kind is str or kind is bool:
        return value
    if kind is list:
        return [_plain(one, arrays) for one in value]
    if kind is dict:
        plain = {key: _plain(one, arrays) for key, one in value.items()}
        return {_TAG: plain} if _TAG in plain else plain
    if kind is np.ndarray and value.dtype.itemsize and not value.dtype.hasobject:
        arrays.append(value)
        return {_TAG: None}
    raise BadSnapshot(f"a snapshot cannot hold {value!r:.80} ({kind.__module__}.{kind.__qualname__})")


def _bytes(array: NDArray[Any]) -> Any:
    """What `join` copies: an array's own memory where it lies in C order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _restored(plain: Any, arrays: Iterator[NDArray[Any]]) -> Any:
    """The other way round."""
    if isinstance(plain, list):
        return [_restored(one, arrays) for one in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG in plain:
        (told,) = plain.values()
        if told is None:
            return next(arrays)
        if isinstance(told, str):
            return _FLOAT.unpack(bytes.fromhex(told))[0]
        if not isinstance(told, dict):
            raise ValueError(f"{told!r} stands for nothing")
        plain = told
    return {key: _restored(one, arrays) for key, one in plain.items()}


def _descr(given: Any) -> Any:
    """A dtype's description as in a .npy file, its lists the tuples that they were. Raises ValueError, TypeError."""
    if isinstance(given, str):
        if not _DTYPE.fullmatch(given):
            raise ValueError(f"no dtype {given!r}")
        return given
    return [
        (tuple(name) if isinstance(name, list) else name, _descr(kind), *map(tuple, shape))
        for name, kind, *shape in given
    ]


class Store(Protocol):
    """Keeps snapshots of sessions. Of several instances one owns a session: who saved it first, or took it last.

    Every call raises StoreUnavailable where the store does not answer; a session goes on, and saves at its next
    checkpoint.
    """

    async def save(self, session: str, snapshot: bytes, ttl_s: float) -> None:
        """Keep the newest snapshot for `ttl_s` seconds. Raises SessionMoved where another instance has taken the
        session, or it was forgotten: who hears this must run it no more, and tell nothing more."""
        ...

    async def take(self, session: str) -> bytes | None:
        """Own the session from now on: its newest snapshot; None where there is none. One step: no save of the earlier
        owner succeeds after it."""
        ...

    async def load(self, session: str) -> bytes | None:
        """The newest snapshot, whoever owns it."""
        ...

    async def forget(self, session: str) -> None:
        """The session is over, unless another instance has taken it. That it is over is known for as long as the last
        snapshot was to be kept."""
        ...

    async def pop(self, session: str) -> bytes | None:
        """The newest snapshot, whoever owns it, and keep it no more; None where there is none. One step: of several who
        ask, one gets it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# One hash a session: who owns it, and its snapshot. No owner and no snapshot: it is over. Scripts run in one step.
_SAVE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'snapshot', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_TAKE = """
local snapshot = redis.call('HGET', KEYS[1], 'snapshot')
if snapshot then redis.call('HSET', KEYS[1], 'owner', ARGV[1]) end
return snapshot
"""
_POP = """
local snapshot = redis.call('HGET', KEYS[1], 'snapshot')
redis.call('DEL', KEYS[1])
return snapshot
"""
_FORGET = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'snapshot')
redis.call('HSET', KEYS[1], 'owner', '')
return 1
"""


class RedisStore:
    """A `Store` in Redis 4 or newer. owner: a name that no other instance has. timeout_s: longest that a call takes."""

    def __init__(self, redis: Redis, owner: str, timeout_s: float, metrics: Metrics) -> None:
        self._redis, self._owner, self._timeout_s, self._metrics = redis, owner, timeout_s, metrics
        scripts = (redis.register_script(script) for script in (_SAVE, _TAKE, _POP, _FORGET))
        self._save, self._take, self._pop, self._forget = scripts
        self._answers = True

    async def save(self, session: str, snapshot: bytes, ttl_s: float) -> None:
        """See `Store`."""
        arguments = [self._owner, snapshot, max(1, round(ttl_s * 1000))]
        if not await self._ask("save", self._save(keys=[_key(session)], args=arguments)):
            raise SessionMoved(f"session {session} was taken by another instance, or is over")

    async def take(self, session: str) -> bytes | None:
        """See `Store`."""
        return await self._ask("take", self._take(keys=[_key(session)], args=[self._owner]))

    async def load(self, session: str) -> bytes | None:
        """See `Store`."""
        return await self._ask("load", self._redis.hget(_key(session), "snapshot"))

    async def forget(self, session: str) -> None:
        """See `Store`."""
        await self._ask("forget", self._forget(keys=[_key(session)], args=[self._owner]))

    async def pop(self, session: str) -> bytes | None:
        """See `Store`."""
        return await self._ask("pop", self._pop(keys=[_key(session)]))

    async def close(self) -> None:
        """See `Store`."""
        await self._redis.aclose()

    async def _ask(self, call: str, answer: Awaitable[Any]) -> Any:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._timeout_s):
                given = await answer
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._metrics.store_failures.labels(call).inc()
            why = f"{call}: {type(error).__name__} {error}".rstrip()
            if self._answers:
                logger.warning("the store of sessions does not answer; sessions go on without it: %s", why)
            self._answers = False
            raise StoreUnavailable(why) from error
        if not self._answers:
            logger.info("the store of sessions answers again")
        self._answers = True
        return given


def _key(session: str) -> str:
    return f"signstream:session:{session}"


def open_store(settings: Settings, metrics: Metrics) -> RedisStore | None:
    """The store of `redis_url`, connected to when it is first asked; None where that is not set."""
    if settings.redis_url is None:
        return None
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=16,
        timeout=settings.redis_timeout_s,
        retry=Retry(NoBackoff(), 1),  # a line that went dead meanwhile
    )
    owner = f"{socket.gethostname()}-{uuid.uuid4().hex}"
    return RedisStore(Redis.from_pool(pool), owner, settings.redis_timeout_s, metrics)
