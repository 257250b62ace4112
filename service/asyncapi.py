"""The contract of the socket, AsyncAPI 3.0, made from the types that it is spoken with."""

from __future__ import annotations

import struct
from typing import Any, get_args

from pydantic import TypeAdapter

from landmarks.layout import HAND_21, POSE_33
from service import examples
from service.answers import Answer
from service.line import CLOSE_CODES
from service.messages import Control, Resume, Start
from service.rest import SessionEvent
from service.schemas import draft07, inherit_words, untitled
from service.wire import HEADER, MAX_BODIES, Flags, JsonFrame

ADDRESS = "/v1/stream"

BINARY = "binary"
"""The message that is no JSON."""

HEARD = (Start, Resume, JsonFrame, *get_args(Control))
"""What callers say as text."""
TOLD = get_args(Answer)
"""What callers are told."""

_SCHEMAS = "#/components/schemas/"
_CHANNEL = {"$ref": "#/channels/stream"}

_CHANNEL_TEXT = """
One socket is one session. A text message is a JSON object with a `type`; a binary message holds frames.

The first message is `start` or `resume`; a socket that was opened with a token of `POST /v1/sessions` takes neither: it
is told `ready` at once. Then come frames and controls in any order, and `stop` in the end. What is not understood is
answered with `problem`, and the session goes on.

Times are seconds on the session's own clock, that of the frames' `at_s`, never the wall clock; they must grow, and need
not come evenly. Landmarks are MediaPipe's: x and y as shares of the picture's width and height, z in the unit of x. A
part that was not seen is null, or left out. `hand` is the person's own left or right.

Callers should ignore fields and messages that they do not know.
"""

_MQTT_TEXT = """
The events of all sessions, each at least once, and those of one session in order: `start` and `end`, and `update` where
`SIGNSTREAM_MQTT_UPDATES` asks for it. The topic is that of `SIGNSTREAM_MQTT_TOPIC`, which may be another.

The topic `signstream/status` (`SIGNSTREAM_MQTT_STATUS_TOPIC`) is retained: `online` while the service is connected,
`offline` when it has left or the broker misses it.
"""

_FRAMES_TEXT = """
One frame or several, one behind the other: each a header and what its flags say. All numbers are little-endian.

{header}

{flags}

Parts follow in the order pose, left hand, right hand; a part that was not seen is left out. A message is exactly as
long as its headers and flags say. Frames of one `seq` and `at_s` in one message are several bodies of one moment, at
most {bodies}. A picture ends its message.

The header of frame 7, at 0.25 s, with a left hand in float16: `{example}`
"""

_TYPES = {"I": "uint32", "H": "uint16", "d": "float64"}
_FIELDS = {
    "seq": "the frame's number; of a resumable session it must grow",
    "flags": "the sum of what holds, see below",
    "reserved": "0",
    "at_s": "its time in seconds, which must grow; not looked at where the session has an `fps`",
}
_FLAGS = {
    Flags.FLOAT16: "values are float16, else float32",
    Flags.POSE: f"a pose follows: {len(POSE_33)} × (x, y, z, visibility)",
    Flags.LEFT_HAND: f"a left hand follows: {len(HAND_21)} × (x, y, z)",
    Flags.RIGHT_HAND: f"a right hand follows: {len(HAND_21)} × (x, y, z)",
    Flags.PICTURE: "a JPEG, PNG or WebP follows, to the end of the message; no other flag may be set",
    Flags.JOINTS: "the joints of the session's `layout` follow, each (x, y, z), NaN where unseen; no parts then",
}


def document(title: str, version: str) -> dict[str, Any]:
    """The contract, as /asyncapi.json answers it."""
    messages, schemas = _messages()
    controls = [_name(schemas, kind) for kind in get_args(Control) if kind.__name__ != "Stop"]
    replies = {"ready", "resumed", "done"}
    told = [name for kind in TOLD if (name := _name(schemas, kind)) not in replies]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{title}, live",
            "version": version,
            "description": "Frames of landmarks or pictures in, gesture and signing events out, live.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:8000",
                "protocol": "ws",
                "description": "Where `python -m service` listens.",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY],
            },
            "broker": {
                "host": "{broker}",
                "protocol": "mqtt",
                "protocolVersion": "3.1.1",
                "variables": {
                    "broker": {"description": "Host and port of `SIGNSTREAM_MQTT_URL`; off until that is set."}
                },
            },
        },
        "channels": {
            "stream": {
                "address": ADDRESS,
                "servers": [{"$ref": "#/servers/local"}],
                "title": "A live session",
                "description": _CHANNEL_TEXT.strip(),
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages if name != "told"},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {"type": "object", "properties": {"token": {"type": "string"}}},
                        "bindingVersion": "0.1.0",
                    }
                },
                "x-close-codes": {str(code): reason for code, reason in CLOSE_CODES.items()},
            },
            "events": {
                "address": "signstream/{session}/{model}",
                "servers": [{"$ref": "#/servers/broker"}],
                "title": "Events over MQTT",
                "description": _MQTT_TEXT.strip(),
                "messages": {"told": {"$ref": "#/components/messages/told"}},
                "parameters": {
                    "session": {"description": "The session's id."},
                    "model": {"description": "The model's name; `+`, `#` and `/` in it become `_`."},
                },
            },
        },
        "operations": {
            "start": _operation("receive", "Open a session", ["start"], ["ready", "problem"]),
            "resume": _operation("receive", "Go on after the line was lost", ["resume"], ["resumed", "problem"]),
            "watch": _operation("receive", "Send frames", ["frame", BINARY]),
            "steer": _operation("receive", "Steer the session", controls, ["done", "problem"]),
            "stop": _operation("receive", "End the session", ["stop"], ["summary"]),
            "tell": _operation("send", "Be told", told),
            "publish": {
                "action": "send",
                "title": "Be told by a broker",
                "channel": {"$ref": "#/channels/events"},
                "messages": [{"$ref": "#/channels/events/messages/told"}],
                "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
            },
        },
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": _SECURITY},
    }


_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of SIGNSTREAM_API_KEYS; none is set, none needed.",
    },
    "key": {"type": "httpApiKey", "in": "header", "name": "X-API-Key", "description": "Likewise."},
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "What `POST /v1/sessions` gave, for browsers, which cannot set headers: good once, and soon.",
    },
}


def _operation(action: str, title: str, messages: list[str], reply: list[str] | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"action": action, "title": title, "channel": _CHANNEL, "messages": _links(messages)}
    return said if reply is None else said | {"reply": {"channel": _CHANNEL, "messages": _links(reply)}}


def _links(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]


def _messages() -> tuple[dict[str, Any], dict[str, Any]]:
    """All messages by name, and the schemas that they take."""
    kinds = [(kind, "validation") for kind in HEARD] + [(kind, "serialization") for kind in (*TOLD, SessionEvent)]
    given: list[Any] = [(kind.__name__, mode, TypeAdapter(kind)) for kind, mode in kinds]
    _, found = TypeAdapter.json_schemas(given, ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = draft07(untitled(found["$defs"]))
    for kind, _ in kinds:
        _begin_with_type(schemas[kind.__name__])
        inherit_words(kind, schemas[kind.__name__])
    messages: dict[str, Any] = {}
    for kind in (*HEARD, *TOLD):
        name = _name(schemas, kind)
        messages[name] = _message(schemas, kind, name, examples.SOCKET[name])
        if kind is JsonFrame:
            messages[BINARY] = _binary()
    messages["told"] = _message(schemas, SessionEvent, "told", [examples.TOLD])
    return messages, schemas


def _message(schemas: dict[str, Any], kind: type[Any], name: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": schemas[kind.__name__]["description"],
        "payload": {"$ref": _SCHEMAS + kind.__name__},
        "examples": [{"payload": example} for example in shown],
    }


def _binary() -> dict[str, Any]:
    header, at = [("bytes", "type", "field", "meaning")], 0
    for (field, meaning), code in zip(_FIELDS.items(), HEADER.format[1:], strict=True):
        size = struct.calcsize("<" + code)
        header.append((f"{at}–{at + size - 1}", _TYPES[code], f"`{field}`", meaning))
        at += size
    flags = [("flag", "meaning"), *((str(flag.value), _FLAGS[flag]) for flag in Flags)]
    example = HEADER.pack(7, Flags.FLOAT16 | Flags.LEFT_HAND, 0, 0.25).hex(" ")
    text = _FRAMES_TEXT.format(header=_table(header), flags=_table(flags), bodies=MAX_BODIES, example=example)
    return {
        "name": BINARY,
        "title": "binary frames",
        "summary": "Frames as bytes: landmarks in half or single precision, or a picture.",
        "description": text.strip(),
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }


def _table(rows: list[tuple[str, ...]]) -> str:
    first, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([first, "|" + "---|" * len(rows[0]), *others])


def _name(schemas: dict[str, Any], kind: type[Any]) -> str:
    return schemas[kind.__name__]["properties"]["type"]["const"]


def _begin_with_type(schema: dict[str, Any]) -> None:
    """What is a default to us is what callers say first, and must."""
    kind = schema["properties"].pop("type")
    schema["properties"] = {"type": {"const": kind["const"], "type": "string"}} | schema["properties"]
    schema["required"] = ["type", *(name for name in schema.get("required", ()) if name != "type")]
