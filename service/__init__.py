"""How a stream is answered: REST and WebSocket over sliding windows; no torch in this room."""
