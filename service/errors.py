"""What can go wrong for a caller; each error knows its status, its code and the way out (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass

from landmarks import errors as landmark


@dataclass(frozen=True)
class Problem:
    """An RFC 9457 problem: the same body over REST and inside the socket."""

    status: int
    code: str
    title: str
    detail: str

    def body(self) -> dict[str, str | int]:
        """As it is sent."""
        return {
            "type": f"urn:signstream:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }


class SignstreamError(Exception):
    """Root of what the service answers with a problem."""

    status = 500
    code = "internal-error"
    title = "The service failed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def problem(self) -> Problem:
        """What the caller is told."""
        return Problem(self.status, self.code, self.title, self.detail)


class UnknownModel(SignstreamError):
    """The request names a model that is not loaded."""

    status, code, title = 404, "unknown-model", "There is no such model"


class NotReady(SignstreamError):
    """The models are still warming."""

    status, code, title = 503, "not-ready", "The service is warming up"


class Busy(SignstreamError):
    """All places for this kind of work are taken."""

    status, code, title = 503, "busy", "The service has no room for more"


class Draining(SignstreamError):
    """The service is about to stop and takes nothing new."""

    status, code, title = 503, "draining", "The service is about to stop"


class Unauthorised(SignstreamError):
    """No key of the service came with the request."""

    status, code, title = 401, "unauthorised", "A key is needed"


class UnknownToken(SignstreamError):
    """A token that opens no session, or not any more."""

    status, code, title = 401, "unknown-token", "The token is not valid"


class UnknownSession(SignstreamError):
    """No session of that name lives here."""

    status, code, title = 404, "unknown-session", "There is no such session"


class Late(SignstreamError):
    """A window or a step has waited too long to be of use."""

    status, code, title = 503, "late", "The service is too slow for this"


class TooLarge(SignstreamError):
    """A body or a clip over the limit."""

    status, code, title = 413, "too-large", "The upload is too large"


class InvalidRequest(SignstreamError):
    """A parameter or a body that breaks the protocol."""

    status, code, title = 422, "invalid-request", "The request is not understood"


class InvalidMessage(SignstreamError):
    """A socket message that breaks the protocol."""

    status, code, title = 422, "invalid-message", "The message is not understood"


class UnsupportedMedia(SignstreamError):
    """Content that is neither a landmark file nor a video."""

    status, code, title = 415, "unsupported-media", "The content is of no kind that is read here"


class SessionMoved(SignstreamError):
    """Another instance has taken the session, or it is over: who ran it runs it no more."""

    status, code, title = 409, "session-moved", "The session goes on elsewhere, or is over"


class StoreUnavailable(SignstreamError):
    """The store of sessions does not answer; a session goes on without it."""

    status, code, title = 503, "store-unavailable", "The store of sessions does not answer"


class BadSnapshot(SignstreamError):
    """A snapshot that cannot be written or read."""

    code, title = "bad-snapshot", "A session's snapshot cannot be written or read"


class ModelError(SignstreamError):
    """A model file that cannot be served."""

    code, title = "model-error", "A model file cannot be served"


_OF_LANDMARKS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (landmark.NotAVideo, 415, "not-a-video", "The content is no video that can be decoded"),
    (landmark.UnknownFormat, 415, "unsupported-media", UnsupportedMedia.title),
    (landmark.NoFrames, 422, "no-frames", "The content holds no frames"),
    (landmark.NoPerson, 422, "no-person", "Nobody is to be seen"),
    (landmark.TimeError, 422, "invalid-time", "Time does not move forward"),
    (landmark.LandmarkError, 422, "invalid-landmarks", "The landmarks cannot be read"),
)


def problem_of(error: Exception) -> Problem | None:
    """The problem that answers an error; None for one that is not the caller's to see."""
    if isinstance(error, SignstreamError):
        return error.problem
    for kind, status, code, title in _OF_LANDMARKS:
        if isinstance(error, kind):
            return Problem(status, code, title, str(error))
    return None
