import threading

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from service.app import create_app
from service.settings import Settings
from tests.fakes import RuleEngine, manifest


def app_with(rule):
    return create_app(Settings(extractors=1), [RuleEngine(manifest(), rule)])


def test_while_models_warm_the_service_lives_says_so_and_takes_no_work():
    free = threading.Event()

    def slow(_):
        assert free.wait(30)
        return 0.0

    app = app_with(slow)
    with TestClient(app) as client:
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "warming")
        for answer in (client.post("/v1/clips", content=b"{}"), client.get("/v1/models")):
            assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
            assert answer.headers["retry-after"] == "2"
        with client.websocket_connect("/v1/stream") as socket:
            assert socket.receive_json()["problem"]["code"] == "not-ready"
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
            assert closed.value.code == 1013
        free.set()
        client.portal.call(app.state.house.warmed)
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_model_that_cannot_be_warmed_is_a_failure_that_readiness_explains():
    def broken(_):
        raise RuntimeError("scripted")

    app = app_with(broken)
    with TestClient(app) as client:
        with pytest.raises(RuntimeError, match="scripted"):
            client.portal.call(app.state.house.warmed)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["detail"]) == (503, "failed", "scripted")
        assert "scripted" in client.post("/v1/clips", content=b"{}").json()["detail"]
