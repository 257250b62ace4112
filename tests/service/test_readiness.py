import threading

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from service.app import create_app
from service.errors import ModelError
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


def on(provider, wanted):
    engine = RuleEngine(manifest("signing"), lambda _: 0.0)
    engine.provider, engine.wanted = provider, wanted
    return engine


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.mark.slow
def test_a_model_that_fell_back_to_the_cpu_is_told_by_readiness_by_a_metric_and_by_one_warning(caplog):
    app = create_app(Settings(extractors=1), [on(CPU, CUDA)])
    with TestClient(app) as client:
        client.portal.call(app.state.house.warmed)
        ready = client.get("/readyz").json()
        assert (ready["provider"], ready["fallback"]) == (CPU, ["signing"])
        assert 'signstream_fallback{model="signing"} 1.0' in client.get("/metrics").text
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [warning for warning in warnings if f"signing runs on {CPU}, not on {CUDA}" in warning] == warnings


def test_a_model_that_runs_where_it_was_to_run_is_no_fallback(caplog):
    app = create_app(Settings(extractors=1), [on(CPU, CPU)])
    with TestClient(app) as client:
        client.portal.call(app.state.house.warmed)
        assert client.get("/readyz").json()["fallback"] == []
        assert 'signstream_fallback{model="signing"} 0.0' in client.get("/metrics").text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("wanted", [CPU, CUDA])
def test_where_cuda_is_required_nothing_else_is_taken(wanted, monkeypatch):
    monkeypatch.setenv("REQUIRE_CUDA", "1")
    app = create_app(Settings(extractors=1), [on(CPU, wanted)])
    with TestClient(app) as client:
        with pytest.raises(ModelError, match=f"REQUIRE_CUDA is set, but signing runs on {CPU}"):
            client.portal.call(app.state.house.warmed)
        assert client.get("/readyz").status_code == 503


def test_cuda_cannot_be_required_of_the_cpu():
    with pytest.raises(ValidationError, match="require_cuda is set, but device is cpu"):
        Settings(require_cuda=True, device="cpu")
