"""Client of a signstream service: landmarks, pictures or a whole clip in; gesture and signing events out."""

from signstream_client.aio import AsyncClient, AsyncStream
from signstream_client.client import Client, Stream
from signstream_client.clip import Clip, Media, Reading, Segment, WindowScores
from signstream_client.configuration import (
    Changes,
    Configuration,
    DecodingChange,
    Gate,
    LabelDecoding,
    Options,
    Steadying,
)
from signstream_client.errors import (
    AnswerTimeout,
    BadFrame,
    NoServer,
    ProblemError,
    ProtocolError,
    SignstreamError,
    StreamClosed,
    StreamLost,
)
from signstream_client.frame import Body, Frame, Picture
from signstream_client.messages import (
    Ack,
    Closing,
    Done,
    Dropped,
    Event,
    Interrupted,
    Lag,
    Landmarks,
    Message,
    Problem,
    Ready,
    Resumed,
    Resumption,
    Scores,
    Summary,
    Warned,
)
from signstream_client.model import Decoding, Model, Readiness
from signstream_client.protocol import StreamProtocol
from signstream_client.reconnect import Reconnect
from signstream_client.session import Session

__all__ = [
    "Ack",
    "AnswerTimeout",
    "AsyncClient",
    "AsyncStream",
    "BadFrame",
    "Body",
    "Changes",
    "Client",
    "Clip",
    "Closing",
    "Configuration",
    "Decoding",
    "DecodingChange",
    "Done",
    "Dropped",
    "Event",
    "Frame",
    "Gate",
    "Interrupted",
    "LabelDecoding",
    "Lag",
    "Landmarks",
    "Media",
    "Message",
    "Model",
    "NoServer",
    "Options",
    "Picture",
    "Problem",
    "ProblemError",
    "ProtocolError",
    "Readiness",
    "Reading",
    "Ready",
    "Reconnect",
    "Resumed",
    "Resumption",
    "Scores",
    "Segment",
    "Session",
    "SignstreamError",
    "Steadying",
    "Stream",
    "StreamClosed",
    "StreamLost",
    "StreamProtocol",
    "Summary",
    "Warned",
    "WindowScores",
]
