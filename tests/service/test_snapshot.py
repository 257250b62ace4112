"""A session that goes on elsewhere, from what was kept of it, says what the unbroken one says."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.steady import Steadying
from service.engine import OnnxEngine, Runtime
from service.errors import BadSnapshot
from service.gate import Gate
from service.resume import pack, unpack
from service.session import Frame, Manner, Session
from tests.fakes import RuleEngine, manifest, right_hand_seen, signer
from tests.graphs import leaky_manifest, recurrent
from tests.service.test_people import FAR, NEAR

pytestmark = pytest.mark.slow

MANNERS = [
    Manner(),
    Manner(steadying=Steadying(cutoff_hz=1.0, beta=0.5, hold_s=0.2)),
    Manner(follow="all", sides=True),
    Manner(gates=(Gate("signing", ("slow",), "only-while"),)),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    path = recurrent(tmp_path_factory.mktemp("models") / "net.onnx", leaky_manifest(manifest("net"), behind=2))
    rules = [("signing", {}), ("slow", {"stride": 2, "centre": 0.5})]
    windows = [RuleEngine(manifest(name, frames=4, fps=10, **how), right_hand_seen) for name, how in rules]
    return lambda: [*windows, OnnxEngine(path, Runtime(streams=8))]


def said_of(session, frames):
    said = []
    for frame in frames:
        scored = session.judge(session.take(frame))
        said += [(one.window.at_s, one.window.person, one.probabilities.tolist()) for one in scored]
        said += [event for one in scored for event in session.settle(one)]
        said += session.part()
    return said


def end_of(session):
    return [event for one in session.judge(session.finish()) for event in session.settle(one)] + session.close()


def frames_of(draw):
    """Irregular frames of one body, or of two from some frame on; with gaps."""
    clip = signer(draw(st.lists(st.booleans(), min_size=4, max_size=30)), fps=10)
    second = draw(st.integers(0, 60))
    at_s, frames = 0.0, []
    for i, body in enumerate(clip.xyz):
        at_s += draw(st.sampled_from([0.05, 0.1, 0.13, 0.1, 0.9]))
        frames.append(Frame(at_s, np.stack([NEAR[i], FAR[i]]) if i >= second else body))
    return frames


@pytest.mark.parametrize("manner", MANNERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_session_goes_on_elsewhere_as_if_nothing_had_been(models, manner, data):
    frames = frames_of(data.draw)
    cut = data.draw(st.integers(0, len(frames)))
    unbroken = Session(models(), 1.5, manner)
    whole = [*said_of(unbroken, frames), *end_of(unbroken)]
    first = Session(models(), 1.0, manner)
    first.aspect = 1.5
    before = said_of(first, frames[:cut])
    kept = pack(first.snapshot())
    said_of(first, frames[cut:])  # what becomes of it makes no difference to what was kept
    second = Session(models(), 1.0, manner)
    second.restore(unpack(kept))
    assert [*before, *said_of(second, frames[cut:]), *end_of(second)] == whole


def test_a_session_of_other_models_is_not_gone_on_with(models):
    kept = Session(models(), 1.0).snapshot()
    with pytest.raises(BadSnapshot, match="other models"):
        Session(models()[:2], 1.0).restore(kept)


def test_a_device_gives_back_the_states_that_it_was_given(tmp_path):
    from tests.service.test_resident import resident

    path = recurrent(tmp_path / "net.onnx", leaky_manifest(manifest()))
    here, there = resident(path, [1, 2, 4], rows=3), resident(path, [2, 4], rows=5)
    frames = np.random.default_rng(0).random((6, 1, 27, 3), np.float32)
    for i, frame in enumerate(frames[:3]):
        here.run(frame, [(0 if i == 0 else 2, 2)])
    there.write(5, here.read(2))
    for frame in frames[3:]:
        np.testing.assert_allclose(there.run(frame, [(5, 5)]), here.run(frame, [(2, 2)]), atol=1e-6)
