"""Pictures to a stream, no faster than the service looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signstream_client.client import Stream
from signstream_client.frame import Picture
from signstream_client.messages import Dropped, Landmarks, Message, Problem

IN_FLIGHT = 2
"""Pictures on their way or being looked at, at most: one is looked at while the next one travels."""


class LivePictures:
    """Send the newest picture whenever there is room, and give out what the service says.

    stream: one that was opened with `landmarks=True`: they are the receipts. skipped: pictures that were not sent.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._in_flight = 0
        self.sent = 0
        self.skipped = 0

    def run(self, pictures: Iterable[Picture]) -> Iterator[Message]:
        """The service's messages, until the pictures end."""
        for picture in pictures:
            for message in self._stream.poll():
                self._receipt(message)
                yield message
            if self._in_flight < IN_FLIGHT:
                self._stream.send(picture)
                self._in_flight += 1
                self.sent += 1
            else:
                self.skipped += 1

    def _receipt(self, message: Message) -> None:
        done = {Landmarks: 1, Problem: 1, Dropped: message.count if isinstance(message, Dropped) else 0}
        self._in_flight = max(0, self._in_flight - done.get(type(message), 0))
