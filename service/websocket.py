"""uvicorn's WebSockets, which here read on while a message waits to be taken."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WAITING = 4
"""Messages of one socket that wait to be taken before it is not read on."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own stops reading with every message until that is taken: two system calls, a tenth of what a frame
    costs the service. This one stops where some wait."""

    def send_receive_event_to_app(self) -> None:
        """A message is whole: as uvicorn's, but for when reading stops; `receive` goes on with it once none waits."""
        stopped, self.read_paused = self.read_paused, True  # so that uvicorn does not stop
        super().send_receive_event_to_app()
        self.read_paused = stopped or self.queue.qsize() >= WAITING
        if self.read_paused and not stopped:
            self.transport.pause_reading()
