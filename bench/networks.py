"""Every network in the size it was published in: parameters, products, time a window, and time a frame of a stream."""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.table import show, verdict
from export.graph import Graph
from export.onnx import seal, to_onnx, trace
from export.streaming import of_steps
from landmarks import HAND_21, HOLISTIC_75, NTU_25, NTU_25_CHAIN, POSE_33, SIGN_27, Layout, Manifest
from models import NETWORKS, Continual, Network, State, build
from service.engine import cuda_devices

TARGET = 20.0
"""How many times cheaper a continual prediction is than its window: 20.0 on a CPU (Hedegaard et al. 2023, table 2)."""
TARGET_FRAMES = 300
"""The window that the target is about."""
STEPS = 10
"""Frames of a stream that are timed together."""
SAME = 1e-3
"""A graph whose answers differ by more from torch's is not worth timing."""


@dataclass(frozen=True)
class Standard:
    """How a network was published: layout and frames of its window, and fields of its Config besides `fps`."""

    layout: Layout
    frames: int
    options: dict[str, Any] = field(default_factory=dict)


_NTU_60: dict[str, Any] = {"labels": 60, "inputs": "given"}
_TWO_PERSONS: dict[str, Any] = {**_NTU_60, "persons": 2}
STANDARD: dict[str, Standard] = {
    # Ours: as `signing` is shipped.
    "arm-gru": Standard(SIGN_27, 16, {"labels": 2, "members": 3}),
    "costgcn": Standard(NTU_25_CHAIN, 300, {**_TWO_PERSONS, "scale": "persons", "beginning": "valid"}),
    # Not published: CoST-GCN's window, ST-GCN++'s blocks.
    "costgcn++": Standard(NTU_25, 300, {**_TWO_PERSONS, "beginning": "valid"}),
    "dsta-slr": Standard(SIGN_27, 120, {"labels": 100, "inputs": "published"}),
    "impsgn": Standard(NTU_25, 20, {**_NTU_60, "axis": "joint", "attention": "none"}),
    "sca-stgcn": Standard(HOLISTIC_75, 25, {"labels": 3, "inputs": "given", "statistics": "all"}),
    "sgn": Standard(NTU_25, 20, _NTU_60),
    "signing-lstm": Standard(POSE_33, 50, {"labels": 2, "points": "body_25", "hands": False}),
    "st-sgcn": Standard(
        HAND_21,
        60,
        {
            "labels": 12,
            "cross_hops": 0,
            "inputs": "given",
            "columns": ("x", "y", "z", "links", "speed", "acceleration"),
        },
    ),
    "stgcn": Standard(NTU_25_CHAIN, 300, _TWO_PERSONS),
    "stgcn++": Standard(NTU_25, 100, _TWO_PERSONS),
}
"""The first size that each paper reports: NTU RGB+D 60, WLASL100, Briareo, DGS Corpus, ..."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks, and how long."""
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(NETWORKS), help="may be repeated")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="windows at a time; default: 1 8 32")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of onnxruntime; default: %(default)s")
    parser.add_argument("--turns", type=int, default=15, help="at most, of each measurement; default: %(default)s")
    parser.add_argument(
        "--patience",
        type=float,
        default=4.0,
        metavar="SECONDS",
        help="no turn begins after it; what takes five times as long once is left out; default: %(default)s",
    )


def run(options: argparse.Namespace) -> int:
    """Print the tables; 1 where a continual network misses its target or a network has no standard here."""
    if strange := sorted(set(STANDARD) ^ set(NETWORKS)):
        print(f"STANDARD in {__file__} and the registry differ by {', '.join(strange)}", file=sys.stderr)
        return 1
    torch.set_num_threads(options.threads)
    found = [_measure(name, options) for name in sorted(options.only or NETWORKS)]
    engines = list(dict.fromkeys(engine for one in found for engine, _ in one.windows_ms))
    print(
        f"ms a window (a batch's time by its windows), {options.threads} thread(s), median of up to {options.turns} "
        "turns that engines take one after the other; - is left out for its length.\n"
        "M: multiply-adds of matrix products and convolutions, in millions, those of recurrent layers by their sizes; "
        "normalisation and what works element by element is not counted.\n"
    )
    cells = [(engine, batch) for batch in options.batches for engine in engines]
    show(
        ("network", "T x V x M", "parameters", "M a window", *(f"{engine}, {batch}" for engine, batch in cells)),
        [(*one.about, *(told(one.windows_ms.get(cell)) for cell in cells)) for one in found],
    )
    return streams(found)


def streams(found: Sequence[Measured]) -> int:
    """The table of continual networks, and the verdict: 1 for a miss."""
    rows, reached = [], {}
    for one in found:
        products = f"{one.window_macs / 1e6:.2f} / {one.frame_macs / 1e6:.2f}"
        for engine, ms in one.frames_ms.items():
            window_ms = one.windows_ms[engine, 1]
            asked = STANDARD[one.name].frames == TARGET_FRAMES
            if asked:
                reached[f"{one.name} in {engine}"] = window_ms / ms
            said = verdict(window_ms / ms, TARGET) if asked else "not asked"
            rows.append((one.name, engine, told(window_ms), told(ms), products, f"{window_ms / ms:.1f}", said))
    if rows:
        print("\na prediction: by its whole window, or as the next frame of a stream")
        heads = ("network", "engine", "ms a window", "ms a frame", "M a window / a frame", "ms ratio")
        show((*heads, f"at least {TARGET:g}"), rows)
    missed = [name for name, ratio in reached.items() if ratio < TARGET]
    if reached:
        print(
            f"\na continual prediction is at least {TARGET:g} times cheaper than the {TARGET_FRAMES}-frame window of "
            f"the same network: {'no: ' + ', '.join(missed) if missed else 'yes'}"
        )
    return int(bool(missed))


@dataclass(frozen=True, eq=False)
class Measured:
    """One network. windows_ms: (engine, batch) -> ms a window. frames_ms: engine -> ms a frame of one stream."""

    name: str
    about: tuple[object, ...]
    window_macs: int
    frame_macs: int
    windows_ms: dict[tuple[str, int], float]
    frames_ms: dict[str, float]


def _measure(name: str, options: argparse.Namespace) -> Measured:
    standard = STANDARD[name]
    network = standard_network(name)
    passport = manifest(name, standard)
    print(f"{name} ...", file=sys.stderr)
    engines = _engines(network, to_onnx(network, passport), windows_of(standard, 1), options.threads)
    steps: dict[str, Callable[[], object]] = {}
    if isinstance(network, Continual) and network.stride == 1:
        steps = _steps(name, windows_of(standard, 1), options.threads)
    windows_ms: dict[tuple[str, int], float] = {}
    frames_ms: dict[str, float] = {}
    for batch in sorted({1, *options.batches}):
        expected_ms = sum(windows_ms.get((engine, 1), 0.0) for engine in engines) * batch
        if batch > 1 and expected_ms / 1e3 > 5 * options.patience:
            continue
        windows = windows_of(standard, batch)
        works = {engine: predict(windows) for engine, predict in engines.items()}
        if batch == 1:
            works |= {f"step {engine}": step for engine, step in steps.items()}
        times = in_turns(works, options.turns, options.patience)
        windows_ms |= {(engine, batch): times[engine] / batch for engine in engines}
        if batch == 1:
            frames_ms = {engine: times[f"step {engine}"] / STEPS for engine in steps}
    size = f"{standard.frames} x {len(standard.layout)} x {standard.options.get('persons', 1)}"
    parameters = f"{sum(p.numel() for p in network.parameters()):,}"
    window = torch.from_numpy(windows_of(standard, 1))  # (1, T, V, 3)
    window_macs, frame_macs = macs(network, lambda: network(window)), 0
    if isinstance(network, Continual):
        seen = State(network.delay, network.start(1).tensors)  # a frame that brings a prediction
        frame_macs = macs(network, lambda: network.step(window[:, 0], seen))
    about = (name, size, parameters, f"{window_macs / 1e6:.2f}")
    return Measured(name, about, window_macs, frame_macs, windows_ms, frames_ms)


def standard_network(name: str, **options: Any) -> Network:
    """A network as it was published, but for `options`, with the weights that training begins from."""
    torch.manual_seed(0)
    return build(name, STANDARD[name].layout, **{"fps": 30.0, **STANDARD[name].options, **options}).eval()


def macs(network: nn.Module, work: Callable[[], object]) -> int:
    """Multiply-adds of matrix products and convolutions in `work`, which runs the network.

    torch's counter sees what some recurrent layers do and not what others do; here all go by their sizes.
    """
    counted_inside, by_size = 0, 0

    def before(_: nn.Module, __: tuple[Any, ...]) -> None:
        nonlocal counted_inside
        counted_inside -= counter.get_total_flops()

    def after(layer: nn.Module, given: tuple[Any, ...], _: object) -> None:
        nonlocal counted_inside, by_size
        assert isinstance(layer, nn.RNNBase)
        counted_inside += counter.get_total_flops()
        by_size += given[0].shape[:-1].numel() * _recurrent_macs(layer)

    hooks = []
    for layer in network.modules():
        if isinstance(layer, nn.RNNBase):
            hooks += [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    for hook in hooks:
        hook.remove()
    return (counter.get_total_flops() - counted_inside) // 2 + by_size


def _recurrent_macs(layer: nn.RNNBase) -> int:
    """Multiply-adds a frame: each weight once."""
    return sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight_"))


def _engines(
    network: Network, graph: bytes, window: NDArray[np.float32], threads: int
) -> dict[str, Callable[[NDArray[np.float32]], Callable[[], object]]]:
    """Name -> windows -> what is to be timed."""
    session = open_graph(graph, threads)

    def in_torch(windows: NDArray[np.float32]) -> Callable[[], object]:
        given = torch.from_numpy(windows)
        return lambda: without_gradients(network, given)

    found: dict[str, Callable[[NDArray[np.float32]], Callable[[], object]]] = {
        "torch": in_torch,
        "onnxruntime": lambda windows: lambda: session.run(None, {"landmarks": windows}),
    }
    same("window", without_gradients(network, torch.from_numpy(window)), session.run(None, {"landmarks": window})[0])
    if cuda_devices():
        if torch.cuda.is_available():
            there = copy.deepcopy(network).cuda()

            def in_torch_there(windows: NDArray[np.float32]) -> Callable[[], object]:
                given = torch.from_numpy(windows).cuda()
                return lambda: without_gradients(there, given).cpu()

            found["torch, CUDA"] = in_torch_there
        onnxruntime.preload_dlls()
        on_cuda = open_graph(graph, threads, cuda=True)
        if on_cuda.get_providers()[0] == "CUDAExecutionProvider":
            found["onnxruntime, CUDA"] = lambda windows: lambda: on_cuda.run(None, {"landmarks": windows})
    return found


def _steps(name: str, window: NDArray[np.float32], threads: int) -> dict[str, Callable[[], object]]:
    """Name -> STEPS frames of a stream, which goes on from call to call."""
    # A stream's graph predicts from the first frame on; what a frame costs does not depend on the beginning.
    causal = {"beginning": "causal"} if "beginning" in STANDARD[name].options else {}
    source = of_steps([standard_network(name, **causal)], [1.0], manifest(name, STANDARD[name]))
    graph = Graph(seal(trace(source), source.manifest), threads)
    frames = window[0, :, None]  # (T, 1, V, 3)
    theirs = graph.start(1)
    state = [torch.from_numpy(each) for each in graph.start(1)]
    names = [f"state_{i}" for i in range(len(state))]
    with torch.inference_mode():
        for frame in frames[:2]:
            said, *state = source.module(torch.from_numpy(frame), *state)
            (found, *theirs) = graph.run({"frame": frame, **dict(zip(names, theirs, strict=True))})
            same("step", said, found)

    def in_torch() -> None:
        nonlocal state
        with torch.inference_mode():
            for frame in frames[:STEPS]:
                _, *state = source.module(torch.from_numpy(frame), *state)

    def in_onnxruntime() -> None:
        nonlocal theirs
        for frame in frames[:STEPS]:
            _, *theirs = graph.session.run(None, {"frame": frame, **dict(zip(names, theirs, strict=True))})

    return {"torch": in_torch, "onnxruntime": in_onnxruntime}


def open_graph(graph: bytes, threads: int, cuda: bool = False) -> onnxruntime.InferenceSession:
    """A graph in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph, options, providers=providers)


def same(what: str, ours: Tensor, theirs: object) -> None:
    """Raises ValueError for answers that differ."""
    difference = float(np.abs(ours.numpy() - np.asarray(theirs)).max())
    if not difference <= SAME:
        raise ValueError(f"the graph of a {what} differs from torch by {difference:.1e}")


def without_gradients(network: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    """What a network says of windows."""
    with torch.inference_mode():
        return network(given)


def in_turns(works: dict[str, Callable[[], object]], turns: int, patience_s: float) -> dict[str, float]:
    """Name -> median ms. Each once to warm up, unless that alone is beyond patience, then all in turns."""
    began = time.perf_counter()
    times: dict[str, list[float]] = {name: [_ms(work)] for name, work in works.items()}
    if time.perf_counter() - began < patience_s:
        times = {name: [] for name in works}
        for _ in range(turns):
            for name, work in works.items():
                times[name].append(_ms(work))
            if time.perf_counter() - began > patience_s:
                break
    return {name: statistics.median(each) for name, each in times.items()}


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def told(ms: float | None) -> str:
    """Three digits."""
    return "-" if ms is None else f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def windows_of(standard: Standard, batch: int) -> NDArray[np.float32]:
    """(B, T, V, 3) joints that move about a pose; a second person is absent, which costs the same."""
    random = np.random.default_rng(0)
    pose = random.uniform(0.2, 0.8, (batch, 1, len(standard.layout), 3))
    moved = random.normal(0, 0.02, (batch, standard.frames, len(standard.layout), 3))
    return (pose + moved).astype(np.float32)


def manifest(name: str, standard: Standard) -> Manifest:
    """What a graph of that size says of itself."""
    labels = tuple(f"label-{i}" for i in range(standard.options["labels"]))
    return Manifest(
        name=name,
        version="0",
        task="gesture",
        network=name,
        layout=standard.layout.name,
        joints=standard.layout.joints,
        window_frames=standard.frames,
        stride_frames=1,
        fps=30.0,
        labels=labels,
        background=labels[0],
    )
