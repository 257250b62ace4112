"""How near every network comes to what the device could do, and how many streams at 30 frames/s it carries."""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from bench import networks
from bench.batcher import files, landmarks_of
from bench.export import SIZES, must_be_on_cuda
from bench.networks import in_turns, macs, open_graph, told, windows_of, without_gradients
from bench.table import check_place, markdown, write
from export.onnx import to_onnx
from models import NETWORKS, build
from service.engine import OnnxEngine, Runtime, Step, cuda_devices

PLACE = "roofline"
FPS = 30.0
Device = Literal["cpu", "cuda"]
COPIED = {"cpu": 1 << 26, "cuda": 1 << 30}
"""Bytes of the copy that tells the bandwidth: far more than any cache holds."""
SIDE = {"cpu": 1024, "cuda": 8192}
"""Of the square matrices whose product tells the rate."""
PRODUCTS = ("Conv", "MatMul", "Gemm", "LSTM", "GRU")
"""Operators whose inputs, weights and outputs must be moved; all others might be done on the way."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks, where, and how long."""
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(NETWORKS), help="may be repeated")
    parser.add_argument("--size", choices=SIZES, default="trained", help="default: %(default)s")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128], help="default: 1 8 32 128")
    parser.add_argument("--turns", type=int, default=30, help="at most, of each measurement; default: %(default)s")
    parser.add_argument("--patience", type=float, default=4.0, metavar="SECONDS", help="no turn begins after it")
    parser.add_argument("--cuda", action="store_true", help="on a GPU instead of one thread of the CPU")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the tables; 2 where there is no GPU that is asked for."""
    device: Device = "cuda" if options.cuda else "cpu"
    if options.cuda and not (cuda_devices() and torch.cuda.is_available()):
        print("--cuda, but there is no CUDA device here that torch can use", file=sys.stderr)
        return 2
    if options.write:
        check_place(options.write, PLACE)
    if options.cuda:
        onnxruntime.preload_dlls()
    torch.set_num_threads(1)
    bandwidth, rate = copy_bandwidth(device), product_rate(device)
    rows = []
    for name in sorted(options.only or NETWORKS):
        print(f"{name} ...", file=sys.stderr)
        for batch, (ms, flops, moved) in measure(name, device, options).items():
            least_ms = 1e3 * max(flops / rate, moved / bandwidth)
            limit = "products" if flops / rate > moved / bandwidth else "memory"
            work = f"{flops / batch / 1e6:.0f}", f"{moved / batch / 1e6:.2f}"
            rows.append((name, batch, *work, told(ms), f"{batch / ms * 1e3:.0f}", limit, f"{least_ms / ms:.1%}"))
    heads = ("network", "windows", "MFLOP a window", "MB a window", "ms", "windows/s", "bound by", "of the roofline")
    streams = [
        (form, f"{asked:g}", batch, f"{per_s:.0f}", f"{per_s / asked:.0f}")
        for form, asked, batch, per_s in carried(device, options)
    ]
    of_streams = ("model of", "asked a second", "best batch", "answered a second", f"streams at {FPS:g} frames/s")
    name = torch.cuda.get_device_name() if options.cuda else "one thread of a CPU"
    text = (
        f"{name}: copies {bandwidth / 1e9:.1f} GB/s (read and written), products {rate / 1e9:.0f} GFLOP/s.\n\n"
        f"{markdown(heads, rows)}\n\n{markdown(of_streams, streams)}"
    )
    print(text)
    if options.write:
        write(options.write, PLACE, f"python -m bench roofline{' --cuda' if options.cuda else ''}", text)
    return 0


def copy_bandwidth(device: Device) -> float:
    """Bytes a second that a copy reads and writes; the best of ten."""
    source = torch.ones(COPIED[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED[device] / _least_s(lambda: target.copy_(source), device)


def product_rate(device: Device) -> float:
    """FLOP a second of a product of square float32 matrices, as onnxruntime rounds them; the best of ten."""
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32: onnxruntime's default too
    side = SIDE[device]
    one, other = torch.rand(2, side, side, device=device)
    return 2 * side**3 / _least_s(lambda: one @ other, device)


def _least_s(work: Callable[[], object], device: Device) -> float:
    times = []
    for _ in range(11):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def measure(name: str, device: Device, options: argparse.Namespace) -> dict[int, tuple[float, int, int]]:
    """Batch -> ms of a run whose windows lie on the device, its FLOPs, and the bytes that it must move."""
    torch.manual_seed(0)
    standard = SIZES[options.size][name]
    network = build(name, standard.layout, **{"fps": FPS, **standard.options}).eval()
    graph = to_onnx(network, networks.manifest(name, standard))
    session = open_graph(graph, 1, cuda=device == "cuda")
    if device == "cuda":
        must_be_on_cuda(session)
    found: dict[int, tuple[float, int, int]] = {}
    for batch in sorted(options.batches):
        if found and next(iter(found.values()))[0] * batch / 1e3 > 5 * options.patience:
            continue
        windows = windows_of(standard, batch)
        work = bound(session, windows, device)
        work()
        ms = in_turns({name: work}, options.turns, options.patience)[name]
        given = torch.from_numpy(windows)
        flops = 2 * macs(network, functools.partial(without_gradients, network, given))
        found[batch] = ms, flops, moved_bytes(graph, windows)
    return found


def bound(session: onnxruntime.InferenceSession, windows: NDArray[np.float32], device: Device) -> Callable[[], object]:
    """One run of a graph, to its end, whose windows and answers stay on the device."""
    binding = session.io_binding()
    there = onnxruntime.OrtValue.ortvalue_from_numpy(windows, device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, there)
    binding.bind_output(session.get_outputs()[0].name, device)

    def work() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return work


def moved_bytes(graph: bytes, windows: NDArray[np.float32]) -> int:
    """What the products of a graph read and write at least: inputs, weights and outputs of each, once."""
    model = onnx.load_from_string(graph)
    sizes = {tensor.name: numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer}
    sizes[model.graph.input[0].name] = windows.nbytes
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    wanted = {name for node in products for name in (*node.input, *node.output) if name and name not in sizes}
    answers = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted - answers))
    session = open_graph(model.SerializeToString(), 1)
    names = [value.name for value in session.get_outputs()]
    said = session.run(names, {session.get_inputs()[0].name: windows})
    sizes |= {name: np.asarray(values).nbytes for name, values in zip(names, said, strict=True)}
    return sum(sizes[name] for node in products for name in (*node.input, *node.output) if name)


def carried(device: Device, options: argparse.Namespace) -> list[tuple[str, float, int, float]]:
    """A model of windows and one of steps: form, answers a second for one stream, best batch, answers a second.

    Through the service's engine, landmarks carried there and probabilities back.
    """
    found = []
    with files() as paths:
        for form, path in paths.items():
            most = max(options.batches)
            engine = OnnxEngine(path, Runtime(device, batch=most, streams=most))
            manifest = engine.manifest
            asked = manifest.fps / manifest.stride_frames if manifest.form == "window" else FPS
            places = [engine.places.take() for _ in range(most)] if engine.places is not None else []
            best = (0.0, 0)
            for batch in options.batches:
                inputs = landmarks_of(manifest, batch)
                steps = [Step(place, fresh=False) for place in places[:batch]]
                work = functools.partial(engine.predict, inputs, steps)
                work()
                ms = in_turns({form: work}, options.turns, options.patience)[form]
                best = max(best, (batch / ms * 1e3, batch))
            found.append((form, asked, best[1], best[0]))
    return found
