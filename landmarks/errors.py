"""Everything that can be wrong with landmarks, each with a sentence that says the way out."""


class LandmarkError(ValueError):
    """Root of what this room raises on bad input."""


class UnknownLayout(LandmarkError):
    """No layout of that name."""


class UnknownNetwork(LandmarkError):
    """MediaPipe's package has no network that we know by that name."""


class UnknownJoint(LandmarkError):
    """A layout lacks a joint that is asked of it."""


class TimeError(LandmarkError):
    """Timestamps that are not finite or do not move forward."""


class UnknownFormat(LandmarkError):
    """The content is of no landmark format that we read."""


class FormatError(LandmarkError):
    """The content is of a known format and breaks its rules."""


class ManifestError(LandmarkError):
    """A model's manifest that is missing, of another version, or wrong."""


class NotAVideo(LandmarkError):
    """The content is no video container that we decode."""


class NoFrames(LandmarkError):
    """A file without a single frame."""


class NoPerson(LandmarkError):
    """A file in which no frame shows a person."""
