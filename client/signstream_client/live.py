"""Pictures to a stream, no faster than the service looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signstream_client.client import Stream
from signstream_client.frame import Picture
from signstream_client.messages import Dropped, Landmarks, Message, Problem, Resumed

IN_FLIGHT = 2
"""Pictures on their way or being looked at, at most: one is looked at while the next one travels."""


class LivePictures:
    """Send the newest picture whenever there is room, and give out what the service says.

    stream: one that was opened with `landmarks=True`: they are the receipts. skipped: pictures that were not sent.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._under_way: list[int] = []
        self.sent = 0
        self.skipped = 0

    def run(self, pictures: Iterable[Picture]) -> Iterator[Message]:
        """The service's messages, until the pictures end."""
        for picture in pictures:
            for message in self._stream.poll():
                self._receipt(message)
                yield message
            if len(self._under_way) < IN_FLIGHT:
                self._under_way.append(self._stream.send(picture))
                self.sent += 1
            else:
                self.skipped += 1

    def _receipt(self, message: Message) -> None:
        match message:
            case Landmarks():
                done = {message.frame.seq}
            case Dropped():
                done = set(range(message.first_seq, message.last_seq + 1))
            case Problem():  # it names no picture; answers come in order, so it is about the oldest
                done = set(self._under_way[:1])
            case Resumed():  # what was said of those before it went down with the line
                done = {seq for seq in self._under_way if seq < message.next_seq}
            case _:
                return
        self._under_way = [seq for seq in self._under_way if seq not in done]
