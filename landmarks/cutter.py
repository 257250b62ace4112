"""A stream of landmarks -> the windows that a model judges, for training's replays and the service alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.hands import on_hands, watched
from landmarks.joint_map import JointMap
from landmarks.layout import Hand, Layout
from landmarks.manifest import Manifest
from landmarks.resample import Resampler, Run
from landmarks.sequence import LandmarkSequence, square
from landmarks.window import Window, frames_behind


class Cut(NamedTuple):
    """A window of a stream, or what is new in it to a model that carries a state from frame to frame.

    model: who shall judge it. person: whose joints these are, of the stream's people. hand: which of their hands'; None
    for the whole body, or a hand of which nobody knows the side. start_s, end_s: its oldest and newest frame that the
    stream has, so that windows at the stream's ends are shorter. at_s: the moment it speaks of. landmarks: in units of
    the picture's height, NaN where unseen or where there is no frame: the window (T, V, 3); or the frames (N, V, 3)
    that a model of the form `stream` steps before it answers, N is 1 unless fresh. fresh: a state is 0 before these:
    the stream began or jumped, or the model has rested. jumped: the first since the stream began or jumped. rests: the
    model rests, and says Manifest.at_rest.
    """

    model: str
    hand: Hand | None
    start_s: float
    end_s: float
    at_s: float
    landmarks: NDArray[np.float32]
    fresh: bool
    jumped: bool
    rests: bool
    person: int = 1


_EARLY = 1e-6
"""Seconds by which a rest may begin early, so that a time that is a sum of frames' counts as reached."""


class Feed:
    """A stream as models see it, or one of its hands: joints by name, the aspect corrected, at an even rate. Cutters of
    the same joints and rate share one.

    layout: of the frames that are pushed. joints: V names. fps, max_gap_s: as a Resampler's. hand: of a body, where
    the joints are of one hand. Raises UnknownJoint where the layout cannot give a joint.
    """

    def __init__(
        self, layout: Layout, joints: tuple[str, ...], fps: float, max_gap_s: float, hand: Hand | None
    ) -> None:
        self.hand: Hand | None = hand
        self._joints = JointMap(layout, joints, hand)
        self._resampler = Resampler(fps, max_gap_s)

    def push(self, at_s: Sequence[float], xyz: NDArray[np.float32], aspect: float) -> list[Run]:
        """What N frames (N, V_source, 3) at `at_s` (N,) complete. Raises TimeError, and then changes nothing.

        aspect: width / height of the picture.
        """
        runs = self._resampler.push(at_s, xyz)
        return [Run(run.at_s, square(self._joints(run.values), aspect), run.fresh) for run in runs]

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes."""
        return self._resampler.snapshot()

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another's snapshot, of the same rate and longest gap."""
        self._resampler.restore(kept)


Feeds = dict[tuple[tuple[str, ...], float, Hand | None], Feed]
"""Of one stream: by joints, rate and hand."""


class Cutter:
    """One model's view of one stream, or of one of its hands: cuts windows from what its feed gives.

    Every moment of the stream from its first frame to its last has its window, a stride apart. Where the model steps,
    every frame is in one cut: the first cut has those up to the one that its moment is answered at. Where it rests, the
    cuts come as ever, only that nobody need run them; the first one after that holds the frames that it would hold
    had there been no rest, and a model that steps begins with those from its moment on.

    manifest: the model's. feed: of its joints at its rate; after a gap in it the windows begin afresh. person: which of
    the stream's people.
    """

    def __init__(self, manifest: Manifest, feed: Feed, person: int = 1) -> None:
        self.name, self.feed, self.person = manifest.name, feed, person
        self.hand: Hand | None = feed.hand
        self._manifest = manifest
        self._window = Window(manifest.window_frames, len(manifest.joints))
        self._behind = frames_behind(manifest.centre, manifest.window_frames)
        self._fresh = self._jumped = True
        self._first_s = self._last_s = 0.0
        self._hands = on_hands(manifest.joints)
        self._seen_s: float | None = None  # when a hand last was; None before the first

    def push(self, runs: Sequence[Run]) -> list[Cut]:
        """The windows that what the feed gave completes."""
        cuts: list[Cut] = []
        for run in runs:
            if run.fresh:
                cuts += self.finish()
                self.restart()
            if not self._window.pushed:
                self._first_s = run.at_s[0]
            self._last_s = run.at_s[-1]
            cuts += self._cut(run.values, run.at_s)
        return cuts

    def restart(self) -> None:
        """Begin afresh with the next frame, as after a gap."""
        self._window.clear()
        self._fresh = self._jumped = True

    def finish(self) -> list[Cut]:
        """The windows that speak of the stream's last moments, with nothing seen after its last frame."""
        if not self._window.pushed:
            return []
        unseen = np.full((self._behind, len(self._manifest.joints), 3), np.nan, np.float32)
        return self._cut(unseen, [self._last_s + i / self._manifest.fps for i in range(1, self._behind + 1)])

    @property
    def fresh(self) -> bool:
        """Whether the next frames of a model that steps begin with a state of 0."""
        return self._fresh

    def snapshot(self) -> dict[str, Any]:
        """All that going on takes."""
        return {
            "feed": self.feed.snapshot(),
            "window": self._window.snapshot(),
            "fresh": self._fresh,
            "jumped": self._jumped,
            "first_s": self._first_s,
            "last_s": self._last_s,
            "seen_s": self._seen_s,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from another's snapshot, of the same model, layout and longest gap."""
        self.feed.restore(kept["feed"])  # which other cutters restore as well, to the same
        self._window.restore(kept["window"])
        self._fresh, self._jumped = kept["fresh"], kept["jumped"]
        self._first_s, self._last_s, self._seen_s = kept["first_s"], kept["last_s"], kept["seen_s"]

    def _cut(self, values: NDArray[np.float32], at_s: list[float]) -> list[Cut]:
        """N even frames (N, V, 3): a window for every one that lies `behind` after a stride's moment."""
        manifest = self._manifest
        rests = self._rests(values, at_s)
        centre = self._window.pushed - self._behind  # the moment that the first frame's window speaks of
        frames = self._window.push(values)
        first = -centre if centre < 0 else -centre % manifest.stride_frames
        cuts: list[Cut] = []
        for i in range(first, len(at_s), manifest.stride_frames):
            cuts.append(
                Cut(
                    manifest.name,
                    self.hand,
                    max(self._first_s, at_s[i] - manifest.window_s),
                    min(self._last_s, at_s[i]),
                    at_s[i] - self._behind / manifest.fps,
                    frames[i + self._known() : i + manifest.window_frames],
                    self._fresh and not rests[i],
                    self._jumped,
                    rests[i],
                    self.person,
                )
            )
            self._fresh, self._jumped = rests[i], False
        return cuts

    def _rests(self, values: NDArray[np.float32], at_s: list[float]) -> list[bool]:
        """Whether the model rests at each of N even frames (N, V, 3)."""
        after_s = self._manifest.rest_after_s
        if after_s == 0:
            return [False] * len(at_s)
        rests, hands = [], values[..., 0].take(self._hands, axis=1)
        for now_s, nearest in zip(at_s, np.fmax.reduce(hands, axis=1).tolist(), strict=True):
            if not math.isnan(nearest):
                self._seen_s = now_s
            rests.append(self._seen_s is None or now_s - self._seen_s >= after_s - _EARLY)
        return rests

    def _known(self) -> int:
        """How many of a window's frames its model has no need of: a step of one that carries a state takes the rest."""
        if self._manifest.form == "window":
            return 0
        return self._manifest.window_frames - 1 - (self._behind if self._fresh else 0)


def cutters(
    manifest: Manifest, layout: Layout, max_gap_s: float = 0.5, person: int = 1, feeds: Feeds | None = None
) -> tuple[Cutter, ...]:
    """A model's views of one person: one, or of a model of one hand one for each hand of a body.

    feeds: of the person's frames, to share and to add to. Raises as Feed.
    """
    feeds = {} if feeds is None else feeds
    views = []
    for hand in watched(manifest.joints, layout):
        key = manifest.joints, manifest.fps, hand
        if key not in feeds:
            feeds[key] = Feed(layout, manifest.joints, manifest.fps, max_gap_s, hand)
        views.append(Cutter(manifest, feeds[key], person))
    return tuple(views)


def cut_whole(manifest: Manifest, sequence: LandmarkSequence) -> list[Cut]:
    """Every window of a sequence, from its first moment to its last; of a model of one hand, hand after hand."""
    at_s, xyz, aspect = sequence.at_s.tolist(), sequence.xyz, sequence.aspect
    views = cutters(manifest, sequence.layout)
    return [cut for view in views for cut in (*view.push(view.feed.push(at_s, xyz, aspect)), *view.finish())]
