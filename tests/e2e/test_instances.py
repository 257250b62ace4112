"""Two services as processes of their own, with one Redis: told to stop, and killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import fakeredis
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.live import frames_of
from bench.server import ROOT

pytestmark = pytest.mark.slow

FPS = 30.0
FRAMES = [frame for _, frame in frames_of(120, FPS)]
READY = "signstream is ready: http://"


@pytest.fixture(scope="module")
def redis():
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


@contextmanager
def service(redis):
    settings = {"REDIS_URL": redis, "SIGNSTREAM_EXTRACTORS": "1", "SIGNSTREAM_RETRY_AFTER_S": "1.5"}
    command = [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stdout if line.startswith(READY))
            yield process, f"ws://{line.removeprefix(READY).strip()}/v1/stream"
        finally:
            if process.poll() is None:
                process.kill()


def start(resumable):
    # A threshold of 0 is reached by anything: an event is open at every moment.
    always = {"signing": {"start_above": 0.0, "stop_below": 0.0, "min_duration_s": 0.0}}
    return {"type": "start", "models": ["signing"], "decoding": always, "resumable": resumable}


def until(socket, kind):
    said = []
    while not said or said[-1]["type"] != kind:
        said.append(json.loads(socket.recv(timeout=30)))
    return said


def rest(socket):
    said = []
    try:
        while True:
            said.append(json.loads(socket.recv(timeout=30)))
    except ConnectionClosed as closed:
        return said, closed.rcvd and closed.rcvd.code


def of(kind, said):
    return [message for message in said if message["type"] == kind]


def unbroken(url):
    with connect(url) as socket:
        socket.send(json.dumps(start(False)))
        for frame in FRAMES:
            socket.send(frame)
        socket.send('{"type": "stop"}')
        return of("event", rest(socket)[0])


def go_on(url, ready, told):
    with connect(url) as socket:
        resume = {"session": ready["session"], "token": ready["resume"]["token"], "last_number": len(told)}
        socket.send(json.dumps({"type": "resume"} | resume))
        resumed = until(socket, "resumed")[-1]
        for frame in FRAMES[resumed["next_seq"] :]:
            socket.send(frame)
        socket.send('{"type": "stop"}')
        return rest(socket)


@pytest.mark.parametrize("how", ["told to stop", "killed"])
def test_a_session_survives_its_service(redis, how):
    with service(redis) as (first, one), service(redis) as (_, two):
        whole = unbroken(two)
        with connect(one) as socket:
            socket.send(json.dumps(start(True)))
            ready = until(socket, "ready")[-1]
            for frame in FRAMES[:70]:
                socket.send(frame)
            socket.send('{"type": "keepalive"}')
            said = until(socket, "done")
            for frame in FRAMES[70:75]:
                socket.send(frame)
            first.send_signal(signal.SIGTERM if how == "told to stop" else signal.SIGKILL)
            last, code = rest(socket)
        assert first.wait(30) == -(signal.SIGTERM if how == "told to stop" else signal.SIGKILL)  # as uvicorn leaves
        told = of("event", said + last)
        if how == "told to stop":
            assert ([message["retry_after_s"] for message in of("closing", last)], code) == ([1.5], 1012)
            assert not of("summary", last)
        again, code = go_on(two, ready, told)
        assert (told + of("event", again), code) == (whole, 1000)


def test_a_session_that_nobody_can_resume_is_told_its_finals(redis):
    with service(redis) as (process, url), connect(url) as socket:
        socket.send(json.dumps(start(False)))
        until(socket, "ready")
        for frame in FRAMES[:70]:
            socket.send(frame)
        until(socket, "event")
        process.send_signal(signal.SIGTERM)
        said, code = rest(socket)
        assert process.wait(30) == -signal.SIGTERM
    assert ([message["resumable"] for message in of("closing", said)], code) == ([False], 1012)
    assert (of("event", said)[-1]["is_final"], said[-1]["type"]) == (True, "summary")
