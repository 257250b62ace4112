"""Health and metadata as the Open Inference Protocol asks for them."""

import pytest

from landmarks import HAND_21
from service.engine import OnnxEngine, Runtime
from tests.fakes import RuleEngine, manifest, right_hand_seen
from tests.graphs import leaky, leaky_manifest
from tests.service.conftest import serving


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """`signing` of windows, and `leaky`, which carries a state."""
    model = leaky_manifest(manifest("leaky", layout=HAND_21), 1)
    leaks = OnnxEngine(leaky(tmp_path_factory.mktemp("models") / "leaky.onnx", model), Runtime(streams=2))
    with serving(RuleEngine(manifest("signing", frames=4), right_hand_seen), leaks) as client:
        yield client


def test_the_server_says_who_it_is(client):
    assert client.get("/v2").json() == {"name": "signstream", "version": client.app.version, "extensions": []}


def test_it_lives_and_is_ready(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/signing/ready").json() == {"name": "signing", "ready": True}
    assert client.get("/v2/models/signing/versions/test/ready").json() == {"name": "signing", "ready": True}


def test_a_model_of_windows_says_what_it_takes_and_gives(client):
    told = {
        "name": "signing",
        "versions": ["test"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "landmarks", "datatype": "FP32", "shape": [-1, 4, 27, 3]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}],
    }
    assert client.get("/v2/models/signing").json() == told
    assert client.get("/v2/models/signing/versions/test").json() == told


def test_a_model_of_streams_tells_its_states_as_its_graph_names_them(client):
    told = client.get("/v2/models/leaky").json()
    graph = client.app.state.house.engines(["leaky"])[0]._session
    assert [each["name"] for each in told["inputs"]] == [node.name for node in graph.get_inputs()]
    assert [each["name"] for each in told["outputs"]] == [node.name for node in graph.get_outputs()]
    for each, node in zip(told["inputs"] + told["outputs"], graph.get_inputs() + graph.get_outputs(), strict=True):
        assert each["shape"][1:] == node.shape[1:]
        assert (each["datatype"], node.type) == ("FP32", "tensor(float)")


@pytest.mark.parametrize("path", ["sings", "sings/ready", "signing/versions/2", "signing/versions/2/ready"])
def test_what_is_not_there_is_a_problem_in_words(client, path):
    answer = client.get(f"/v2/models/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unknown-model"


def test_there_is_no_infer(client):
    assert client.post("/v2/models/signing/infer", json={"inputs": []}).status_code in (404, 405)


def test_before_it_is_warm_it_says_so(client, monkeypatch):
    monkeypatch.setattr(client.app.state.house, "_warming", None)
    assert client.get("/v2/health/live").status_code == 200
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert client.get("/v2/models/signing").json()["code"] == "not-ready"
