"""Everything a call can raise. What the service answers as a problem is raised as that problem's twin."""

from __future__ import annotations

from typing import ClassVar


class SignstreamError(Exception):
    """Root of what this package raises."""


class NoServer(SignstreamError):
    """Nothing answers at that address, or it stopped answering."""


class AnswerTimeout(SignstreamError):
    """The service took longer than the time allowed."""


class ProtocolError(SignstreamError):
    """The other side said something that the protocol does not know: is it a signstream service, and as new as this?"""


class BadFrame(SignstreamError, ValueError):
    """A frame that cannot be sent: wrong number of points, a value that is no number, time that does not grow."""


class StreamClosed(SignstreamError):
    """The service closed the stream before it was stopped.

    close_code: as in the protocol. reason: the service's words, often empty.
    """

    def __init__(self, close_code: int, reason: str = "") -> None:
        self.close_code = close_code
        self.reason = reason
        meaning = _CLOSE_CODES.get(close_code, "the connection was lost")
        super().__init__(f"stream closed ({close_code}): {reason or meaning}")


class StreamLost(StreamClosed):
    """A resumable stream whose line was lost could not be resumed; what was not told by then is lost.

    close_code, reason: of the last line. why: the stream could not be resumed, in words.
    """

    def __init__(self, close_code: int, reason: str, why: str) -> None:
        super().__init__(close_code, reason)
        self.why = why
        self.args = (f"{self.args[0]}; {why}",)


_CLOSE_CODES = {
    1000: "the service ended it without a summary",
    1001: "the service is going away",
    1008: "the stream broke the protocol's rules",
    1009: "a message was over the size limit",
    1011: "the service failed",
    1012: "the service restarts; try again in a moment",
    1013: "the service has no room for it; try again later",
}


class ProblemError(SignstreamError):
    """The service's answer was a problem (RFC 9457).

    status: of HTTP. code: stable, program against it. title: the kind of problem. detail: this one, in words.
    A code of which this release knows no twin is raised as ProblemError itself.
    """

    code: str = ""
    twins: ClassVar[dict[str, type[ProblemError]]] = {}

    def __init_subclass__(cls) -> None:
        ProblemError.twins[cls.code] = cls

    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        super().__init__(detail or title)


class UnknownModel(ProblemError):
    """The request names a model that is not loaded."""

    code = "unknown-model"


class NotReady(ProblemError):
    """The models are still warming; try again in a moment."""

    code = "not-ready"


class Busy(ProblemError):
    """All places for this kind of work are taken; try again later."""

    code = "busy"


class Draining(ProblemError):
    """The service is about to stop, and takes nothing new; try again in a moment."""

    code = "draining"


class Unauthorised(ProblemError):
    """The service asks for a key, or knows another one."""

    code = "unauthorised"


class UnknownToken(ProblemError):
    """The token was used, is too old, or never was."""

    code = "unknown-token"


class UnknownSession(ProblemError):
    """There is no such session: it has ended, or was kept no longer."""

    code = "unknown-session"


class SessionMoved(ProblemError):
    """The session goes on over another line, or is over."""

    code = "session-moved"


class StoreUnavailable(ProblemError):
    """Where the service keeps sessions does not answer; try again later."""

    code = "store-unavailable"


class BadSnapshot(ProblemError):
    """What the service kept of a session cannot be read."""

    code = "bad-snapshot"


class Late(ProblemError):
    """The service is too slow for this: it did not come to a window or a step in time."""

    code = "late"


class TooLarge(ProblemError):
    """A file or a clip over the service's limit."""

    code = "too-large"


class InvalidRequest(ProblemError):
    """A parameter or a body that breaks the protocol."""

    code = "invalid-request"


class InvalidMessage(ProblemError):
    """A stream message that breaks the protocol."""

    code = "invalid-message"


class UnsupportedMedia(ProblemError):
    """Content that is neither a landmark file nor a video."""

    code = "unsupported-media"


class NotAVideo(ProblemError):
    """A video container that cannot be decoded."""

    code = "not-a-video"


class NoFrames(ProblemError):
    """A file without a single frame."""

    code = "no-frames"


class NoPerson(ProblemError):
    """Nobody is to be seen in the file."""

    code = "no-person"


class InvalidTime(ProblemError):
    """Timestamps that are not finite or do not grow."""

    code = "invalid-time"


class InvalidLandmarks(ProblemError):
    """Landmarks that cannot be read."""

    code = "invalid-landmarks"


class ModelError(ProblemError):
    """A model of the service cannot be served."""

    code = "model-error"


class InternalError(ProblemError):
    """The service failed; its log says why."""

    code = "internal-error"
