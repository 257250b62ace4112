"""Both contracts: what is committed is what is served, holds together, and is what the service really does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from landmarks.formats import npz
from service import asyncapi, examples, openapi
from service.app import create_app
from service.errors import InvalidMessage, UnknownModel
from service.examples import BODIES, REST
from service.messages import Control, read_control
from service.outputs.outlet import Told
from service.outputs.webhook import body_of
from service.routes.contracts import contracts
from service.settings import Settings
from service.wire import HEADER, Flags
from tests.fakes import signer
from tests.service.test_stream import STOP, as_binary, as_json, talk

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLIP = signer([False] * 5 + [True] * 6 + [False] * 4)


@pytest.fixture(scope="module")
def texts():
    return contracts(create_app(Settings()))


@pytest.fixture(scope="module")
def rest(texts):
    return json.loads(texts["openapi.json"])


@pytest.fixture(scope="module")
def socket(texts):
    return json.loads(texts["asyncapi.json"])


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_what_is_committed_is_what_the_types_say(texts, name):
    told = (DOCS / name).read_text("utf-8")
    assert told == texts[name], (
        "the contracts have changed: look whether they should, then `python -m service --contracts docs`"
    )


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_what_is_served_is_what_is_committed(client, texts, name):
    answer = client.get(f"/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.text == texts[name]


def test_the_docs_are_our_own_page_and_nothing_of_anybody_else(client):
    assert client.get("/docs", follow_redirects=False).headers["location"] == "reference.html"
    page = client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    assert client.get("/redoc").status_code == 404


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_every_reference_leads_somewhere(texts, name):
    document = json.loads(texts[name])
    references = [value for key, value in walk(document) if key == "$ref"]
    assert references
    for reference in references:
        assert look_up(document, reference) is not None


def walk(node) -> Iterator[tuple[str, object]]:
    """Every key with its value, at any depth."""
    if isinstance(node, dict):
        yield from node.items()
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(each)


def look_up(document, reference):
    node = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def complaints(validator, document, schema, value):
    """What is wrong with a value: against its schema, and fields that the schema does not name."""
    whole = {"components": document["components"], "allOf": [schema]}
    wrong = [error.message for error in validator(whole).iter_errors(value)]
    return wrong + [f"nobody told of {name}" for name in unknown(document, schema, value)]


def unknown(document, schema, value) -> Iterator[str]:
    while "$ref" in schema:
        schema = look_up(document, schema["$ref"])
    for each in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        schema = schema | {key: part for key, part in resolved(document, each).items() if key not in schema}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for each in value:
            yield from unknown(document, schema["items"], each)
    if isinstance(value, dict) and "properties" in schema:
        for name, each in value.items():
            if name not in schema["properties"]:
                yield name
            else:
                yield from unknown(document, schema["properties"][name], each)
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for each in value.values():
            yield from unknown(document, schema["additionalProperties"], each)


def resolved(document, schema):
    return look_up(document, schema["$ref"]) if "$ref" in schema else schema


def wrong_message(socket, message):
    payload = socket["components"]["messages"][message["type"]]["payload"]
    return complaints(Draft7Validator, socket, payload, message)


def test_a_field_that_nobody_told_of_is_found_out(socket):
    configuration = socket["components"]["messages"]["ready"]["examples"][0]["payload"]["configuration"]
    ready = {"type": "ready", "session": "s", "configuration": configuration, "models": [], "resume": None}
    assert wrong_message(socket, ready) == []
    assert wrong_message(socket, ready | {"seconds": 1, "resume": {"token": "t", "within_s": 1, "for": 2}}) == [
        "nobody told of for",
        "nobody told of seconds",
    ]


# The socket.


def test_every_message_has_examples_that_fit_it(socket):
    messages = socket["components"]["messages"]
    assert all(message["examples"] for name, message in messages.items() if name != asyncapi.BINARY)
    for name, message in messages.items():
        for example in message.get("examples", ()):
            assert example["payload"]["type"] == ("event" if name == "told" else name)
            assert complaints(Draft7Validator, socket, message["payload"], example["payload"]) == []


def test_every_message_takes_part_in_an_operation(socket):
    spoken = {"receive": set(), "send": set()}
    for operation in socket["operations"].values():
        if operation["channel"] == {"$ref": "#/channels/events"}:
            continue
        spoken[operation["action"]] |= {link["$ref"].rpartition("/")[2] for link in operation["messages"]}
        spoken["send"] |= {link["$ref"].rpartition("/")[2] for link in operation.get("reply", {}).get("messages", ())}
    assert len(spoken["receive"]) == len(asyncapi.HEARD) + 1  # the binary one
    assert len(spoken["send"]) == len(asyncapi.TOLD)
    assert spoken["receive"] | spoken["send"] == set(socket["channels"]["stream"]["messages"])
    assert set(socket["components"]["messages"]) == spoken["receive"] | spoken["send"] | {"told"}


def test_every_example_of_a_control_is_understood(socket):
    for kind in ("start", "resume", *(control.model_fields["type"].default for control in get_args(Control))):
        for example in socket["components"]["messages"][kind]["examples"]:
            assert read_control(json.dumps(example["payload"])).type == kind


@pytest.mark.parametrize(
    "message",
    [
        {"type": "start", "modles": ["signs"]},
        {"type": "start", "aspect": "wide"},
        {"type": "start", "aspect": 0},
        {"type": "start", "fps": 0},
        {"type": "start", "decoding": {"signs": {"start_above": 2}}},
        {"type": "start", "decoding": {"signs": {"labels": {"hello": {"start_over": 0.5}}}}},
        {"type": "resume", "session": "s"},
        {"type": "configure", "models": ["signs"]},
        {"type": "stop", "now": True},
    ],
)
def test_what_the_schema_refuses_is_refused(socket, message):
    assert wrong_message(socket, message)
    with pytest.raises(InvalidMessage):
        read_control(json.dumps(message))


def test_a_type_is_asked_for_and_stands_first(socket):
    for name, message in socket["components"]["messages"].items():
        if name != asyncapi.BINARY:
            schema = look_up(socket, message["payload"]["$ref"])
            assert next(iter(schema["properties"])) == "type"
            assert "type" in schema["required"]


def test_what_is_said_of_a_field_is_said_wherever_it_is_inherited(rest, socket):
    for document, kind, field in (
        (socket, "Scores", "at_s"),
        (socket, "SessionEvent", "id"),
        (rest, "SessionEvent", "id"),
    ):
        assert document["components"]["schemas"][kind]["properties"][field]["description"]


def test_the_binary_frame_is_told_as_it_is_read(socket):
    text = socket["components"]["messages"][asyncapi.BINARY]["description"]
    for flag in Flags:
        assert f"\n| {flag.value} | " in text
    header = bytes.fromhex(re.findall("`([0-9a-f ]{40,})`", text)[0])
    assert HEADER.unpack(header) == (7, Flags.FLOAT16 | Flags.LEFT_HAND, 0, 0.25)
    ends = [int(end) for end in re.findall(r"\n\| \d+–(\d+) \|", text)]
    assert ends[-1] == HEADER.size - 1


def test_what_the_service_says_in_a_socket_fits(socket, client):
    frames = [as_binary(CLIP, i) if i % 2 else as_json(CLIP, i) for i in range(len(CLIP))]
    controls = [{"type": "keepalive"}, {"type": "configure", "interim": False}, {"type": "flush"}, {"type": "reset"}]
    said, code = talk(client, [*frames[:8], {"type": "nonsense"}, *frames[8:], *controls, STOP], scores=True)
    assert code == 1000
    assert {"ready", "scores", "event", "done", "problem", "summary"} <= {message["type"] for message in said}
    for message in said:
        assert wrong_message(socket, message) == []


def test_what_is_told_outside_fits(rest, socket):
    message = {name: value for name, value in examples.TOLD.items() if name != "session"}
    posted = json.loads(body_of(Told("s1", message, at=1e9)))
    told = socket["components"]["messages"]["told"]["payload"]
    assert complaints(Draft7Validator, socket, told, posted["data"]) == []
    body = rest["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert complaints(Draft202012Validator, rest, body, posted) == []
    assert complaints(Draft202012Validator, rest, body, {"type": "event.begin", "data": posted["data"]})


# REST.


def test_operations_have_names_of_their_own(rest):
    calls = [*rest["paths"].values(), *rest["webhooks"].values()]
    names = [operation["operationId"] for path in calls for operation in path.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_every_error_that_is_told_of_is_a_problem(rest):
    for path in rest["paths"].values():
        for operation in path.values():
            errors = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
            assert "500" in errors
            for status, answer in errors.items():
                if status != "503":  # what is not ready may also say how far it is
                    assert list(answer["content"]) == ["application/problem+json"]
                for example in answer["content"].get("application/problem+json", {}).get("examples", {}).values():
                    assert example["value"]["status"] == int(status)


def test_every_example_fits_its_schema(rest):
    shown = [media for _, media in walk(rest) if isinstance(media, dict) and {"schema", "example"} <= media.keys()]
    assert len(shown) == len(REST) + len(BODIES)
    problems = [media for _, media in walk(rest) if isinstance(media, dict) and {"schema", "examples"} <= media.keys()]
    told = [(media["schema"], media["example"]) for media in shown]
    told += [(media["schema"], one["value"]) for media in problems for one in media["examples"].values()]
    for schema, value in told:
        assert complaints(Draft202012Validator, rest, schema, value) == []


def test_whoever_may_need_a_key_may_go_without_and_is_told_of_401(rest):
    asking = [one for path in rest["paths"].values() for one in path.values() if "security" in one]
    assert asking
    for operation in asking:
        assert operation["security"][0] == {}
        assert len(operation["security"]) == 3
        assert "401" in operation["responses"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/livez", "/livez"),
        ("/readyz", "/readyz"),
        ("/v1/models", "/v1/models"),
        ("/v2", "/v2"),
        ("/v2/health/live", "/v2/health/live"),
        ("/v2/health/ready", "/v2/health/ready"),
        ("/v2/models/{name}", "/v2/models/slow"),
        ("/v2/models/{name}", "/v2/models/fast"),
        ("/v2/models/{name}/ready", "/v2/models/slow/ready"),
        ("/v2/models/{name}/versions/{version}", "/v2/models/slow/versions/test"),
        ("/v2/models/{name}/versions/{version}/ready", "/v2/models/slow/versions/2"),
    ],
)
def test_what_rest_answers_fits(rest, client, path, asked):
    assert wrong_answer(rest, path, "get", client.get(asked)) == []


@pytest.mark.parametrize("query", ["", "?models=slow", "?models=sings", "?fps=0"])
def test_what_is_said_of_a_clip_fits(rest, client, query):
    assert wrong_answer(rest, "/v1/clips", "post", client.post(f"/v1/clips{query}", content=npz.write(CLIP))) == []


def test_what_is_said_of_a_session_fits(rest, socket, client):
    one = "/v1/sessions/{session}"
    opened = client.post("/v1/sessions", json=BODIES["open_session"] | {"models": ["slow"], "decoding": {}})
    assert wrong_answer(rest, "/v1/sessions", "post", opened) == []
    path = f"/v1/sessions/{opened.json()['session']}"
    assert wrong_answer(rest, one, "get", client.get(path)) == []  # nobody has opened it yet
    with client.websocket_connect(f"/v1/stream?token={opened.json()['token']}") as line:
        assert wrong_message(socket, line.receive_json()) == []
        status = client.get(path)
        assert (status.status_code, wrong_answer(rest, one, "get", status)) == (200, [])
        assert client.delete(path).status_code == 204
    assert wrong_answer(rest, one, "get", client.get(path)) == []


@pytest.mark.parametrize("body", ["", "{}}", '{"aspect": 0}', '{"modles": []}', '{"models": ["sings"]}'])
def test_a_session_that_cannot_be_is_answered_as_told(rest, client, body):
    answer = client.post("/v1/sessions", content=body)
    assert 400 <= answer.status_code < 500
    assert wrong_answer(rest, "/v1/sessions", "post", answer) == []


def test_a_clip_that_is_none_is_answered_as_told(rest, client):
    for content in (b"", b"Dear service", b'{"frames": []}', b'{"frames": [{"pose": 3}]}'):
        answer = client.post("/v1/clips", content=content)
        assert 400 <= answer.status_code < 500
        assert wrong_answer(rest, "/v1/clips", "post", answer) == []


def test_a_service_that_warms_up_answers_as_told(rest, client, monkeypatch):
    monkeypatch.setattr(client.app.state.house, "_warming", None)
    for path in ("/readyz", "/v1/models", "/v2/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert wrong_answer(rest, path, "get", answer) == []


def wrong_answer(rest, path, method, answer):
    told = rest["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    schema = told[answer.headers["content-type"].partition(";")[0]]["schema"]
    return complaints(Draft202012Validator, rest, schema, answer.json())


def test_problems_stand_by_their_status_with_what_callers_are_told():
    told = openapi.problems(UnknownModel("no model sings"), InvalidMessage("what?"))
    assert list(told) == [404, 422]
    (example,) = told[404]["content"]["application/problem+json"]["examples"].values()
    assert example["value"]["detail"] == "no model sings"
