"""Client of a signstream service: landmarks, pictures or a whole clip in; gesture and signing events out."""

from signstream_client.aio import AsyncClient, AsyncStream
from signstream_client.client import Client, Stream
from signstream_client.clip import Clip, Media, Reading, Segment, WindowScores
from signstream_client.errors import (
    AnswerTimeout,
    BadFrame,
    NoServer,
    ProblemError,
    ProtocolError,
    SignstreamError,
    StreamClosed,
)
from signstream_client.frame import Frame, Picture
from signstream_client.messages import Dropped, Event, Landmarks, Message, Problem, Ready, Scores, Summary
from signstream_client.model import Decoding, Model, Readiness
from signstream_client.protocol import StreamProtocol

__all__ = [
    "AnswerTimeout",
    "AsyncClient",
    "AsyncStream",
    "BadFrame",
    "Client",
    "Clip",
    "Decoding",
    "Dropped",
    "Event",
    "Frame",
    "Landmarks",
    "Media",
    "Message",
    "Model",
    "NoServer",
    "Picture",
    "Problem",
    "ProblemError",
    "ProtocolError",
    "Readiness",
    "Reading",
    "Ready",
    "Scores",
    "Segment",
    "SignstreamError",
    "Stream",
    "StreamClosed",
    "StreamProtocol",
    "Summary",
    "WindowScores",
]
