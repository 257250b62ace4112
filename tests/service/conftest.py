from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.fakes import RuleEngine, manifest, right_hand_seen


@contextmanager
def serving(*engines, **settings) -> Iterator[TestClient]:
    """The app with scripted engines, warm; with the shipped models if none are given."""
    usual = {"extractors": 1} | ({"default_models": ""} if engines else {})  # all of a test's own models answer
    app = create_app(Settings(**usual | settings), engines or None)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.portal.call(app.state.house.warmed)
        yield client


@pytest.fixture(scope="module")
def client():
    """Two models that look for a right hand: `signing` answers every frame at 10 fps, `slow` every second one."""
    signing = RuleEngine(manifest("signing", frames=4, fps=10), right_hand_seen)
    slow = RuleEngine(manifest("slow", ("none", "hand"), frames=4, stride=2, fps=10), right_hand_seen)
    with serving(signing, slow) as client:
        yield client
