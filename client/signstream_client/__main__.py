"""`signstream-client`: watch a camera, or ask about a file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from signstream_client import show
from signstream_client.client import Client, Stream
from signstream_client.errors import NoServer, SignstreamError
from signstream_client.frame import Picture
from signstream_client.live import LivePictures
from signstream_client.messages import Message
from signstream_client.pictures import NoCamera, Webcam
from signstream_client.reconnect import Reconnect
from signstream_client.rest import DEFAULT_URL

FINE, REFUSED, MISUSED, NO_SERVER = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Returns 0; 1 where the service refused; 2 for a file or camera that is not there; 3 where no service answers."""
    given = _parser().parse_args(arguments)
    try:
        with Client(given.url, key=given.key) as client:
            if given.command == "webcam":
                return _watch(client, given)
            return _ask(client, given)
    except NoServer as error:
        return _say(error, NO_SERVER)
    except (NoCamera, OSError, ValueError) as error:
        return _say(error, MISUSED)
    except SignstreamError as error:
        return _say(error, REFUSED)


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--url",
        default=os.environ.get("SIGNSTREAM_URL", DEFAULT_URL),
        help="of the service (SIGNSTREAM_URL; %(default)s)",
    )
    shared.add_argument("--models", type=lambda text: text.split(","), help="names, by commas; all by default")
    shared.add_argument("--key", help="for a service with keys (SIGNSTREAM_KEY, which no list of processes shows)")
    shared.add_argument("--json", action="store_true", help="print JSON")
    parser = argparse.ArgumentParser(
        prog="signstream-client",
        description="Ask a signstream service what hands do.",
        epilog="Exit status: 0 done, 1 the service refused, 2 no such file or camera, 3 no service there.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    webcam = commands.add_parser("webcam", parents=[shared], help="print events as the camera sees them; Ctrl-C ends")
    webcam.add_argument(
        "--camera", type=_camera, default=0, metavar="N", help="its number (0), or a device or address OpenCV opens"
    )
    for command, what in (("video", "video file"), ("landmarks", "landmark file (npz, .pose, JSON, CSV)")):
        commands.add_parser(command, parents=[shared], help=f"print what is in a {what}").add_argument(
            "file", type=Path, metavar="FILE"
        )
    return parser


def _camera(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _ask(client: Client, given: argparse.Namespace) -> int:
    clip = client.clip(given.file, given.models)
    print(show.clip_json(clip) if given.json else show.clip_table(clip))
    return FINE


def _watch(client: Client, given: argparse.Namespace) -> int:
    again = Reconnect(restart=True)
    with (
        Webcam(given.camera) as webcam,
        client.stream(given.models, landmarks=True, resumable=True, reconnect=again) as stream,
    ):
        names = ", ".join(model.name for model in stream.ready.models)
        print(f"watching camera {given.camera} with {names}; Ctrl-C ends", file=sys.stderr)
        watch(stream, webcam, given.json)
    return FINE


def watch(stream: Stream, pictures: Iterable[Picture], as_json: bool) -> None:
    """Print what is said of the pictures until they end or Ctrl-C is pressed, then the summary."""
    live = LivePictures(stream)
    try:
        for message in live.run(pictures):
            _print(message, as_json)
    except KeyboardInterrupt:
        pass
    stream.stop()
    for message in stream:
        _print(message, as_json)
    print(f"{live.sent} pictures sent, {live.skipped} skipped while the service was busy", file=sys.stderr)


def _print(message: Message, as_json: bool) -> None:
    line = show.message_json(message) if as_json else show.message_line(message)
    if line is not None:
        print(line, flush=True)


def _say(error: Exception, status: int) -> int:
    print(f"signstream-client: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
