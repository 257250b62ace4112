"""What the service counts and times, in Prometheus' text."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """One app's metrics, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.streams = Gauge("signstream_streams", "Open streams", registry=registry)
        self.frames = Counter("signstream_frames", "Frames taken", ["kind"], registry=registry)
        self.dropped = Counter("signstream_dropped_frames", "Frames not looked at", ["reason"], registry=registry)
        self.problems = Counter("signstream_problems", "Problems answered", ["code"], registry=registry)
        self.events = Counter("signstream_events", "Events ended", ["model", "label"], registry=registry)
        self.clips = Counter("signstream_clips", "Clips answered", ["kind"], registry=registry)
        self.provider = Gauge("signstream_model", "Loaded models", ["model", "provider"], registry=registry)
        self.fallback = Gauge(
            "signstream_fallback",
            "1 for a model that does not run on what it was to run on",
            ["model"],
            registry=registry,
        )
        self.late = Counter(
            "signstream_late_windows", "Windows and steps dropped as late", ["model"], registry=registry
        )
        self.reply_s = Histogram(
            "signstream_frame_to_reply_seconds",
            "From a frame's arrival to the last answer that it caused",
            buckets=_FAST_S,
            registry=registry,
        )
        self.extract_s = Histogram(
            "signstream_extraction_seconds", "Landmarks of one picture", buckets=_FAST_S, registry=registry
        )
        self._run_s = Histogram(
            "signstream_run_seconds", "One run of a network", ["model"], buckets=_FAST_S, registry=registry
        )
        self._windows = Counter("signstream_windows", "Windows and steps judged", ["model"], registry=registry)
        self.rested = Counter(
            "signstream_rested_windows", "Windows and steps answered without a run", ["model"], registry=registry
        )
        self.outlet_told = Counter(
            "signstream_outlet_told", "Events that arrived by webhook or MQTT", ["outlet"], registry=registry
        )
        self.outlet_dropped = Counter(
            "signstream_outlet_dropped", "Events that did not, and never will", ["outlet", "reason"], registry=registry
        )
        self.store_failures = Counter(
            "signstream_store_failures", "Calls that the store of sessions did not answer", ["call"], registry=registry
        )

    def runs(self, model: str) -> Callable[[int, float], None]:
        """What notes one run of a network: its windows and its seconds."""
        run_s, judged = self._run_s.labels(model), self._windows.labels(model)  # once: as dear as to count

        def ran(windows: int, seconds: float) -> None:
            run_s.observe(seconds)
            judged.inc(windows)

        return ran

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
