"""onnxruntime beside torch: every network's windows, at 1, 8, 32 and 128 at a time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from bench import networks, throughput
from bench.networks import Standard, in_turns, open_graph, same, told, windows_of, without_gradients
from bench.table import check_place, markdown, verdict, write
from export.onnx import to_onnx
from models import NETWORKS, build
from service.engine import cuda_devices

TARGET = 1.3
"""onnxruntime answers at least so many times as fast as torch as it is."""
PLACE = "export"
TRAINED = {
    name: Standard(throughput.LAYOUT, throughput.FRAMES, {"labels": throughput.LABELS, **options})
    for name, options in throughput.SIZES.items()
}
SIZES = {"trained": TRAINED, "published": networks.STANDARD}
"""As they are trained on a CPU (bench.throughput), or as they were published (bench.networks)."""

Answer = Callable[[Tensor], Tensor]
Timed = dict[str, Callable[[], object]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks, where, and how long."""
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(NETWORKS), help="may be repeated")
    parser.add_argument("--size", choices=SIZES, default="trained", help="default: %(default)s")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128], help="default: 1 8 32 128")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of onnxruntime; default: %(default)s")
    parser.add_argument("--turns", type=int, default=15, help="at most, of each measurement; default: %(default)s")
    parser.add_argument("--patience", type=float, default=4.0, metavar="SECONDS", help="no turn begins after it")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: takes minutes, and a C++ compiler")
    parser.add_argument("--cuda", action="store_true", help="all of it on a GPU, windows carried there and back")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into its marked place in a file")


def run(options: argparse.Namespace) -> int:
    """Print the table; 1 where onnxruntime misses its target, 2 where there is no GPU that is asked for."""
    if options.cuda and not (cuda_devices() and torch.cuda.is_available()):
        print("--cuda, but there is no CUDA device here that torch can use", file=sys.stderr)
        return 2
    if options.write:
        check_place(options.write, PLACE)
    torch.set_num_threads(options.threads)
    rows, missed = [], False
    for name in sorted(options.only or NETWORKS):
        print(f"{name} ...", file=sys.stderr)
        standard = SIZES[options.size][name]
        for batch, times in measure(name, standard, options).items():
            ratio = times["torch"] / times["onnxruntime"]
            missed |= ratio < TARGET
            size = f"{standard.frames} x {len(standard.layout)}"
            each = [told(ms / batch) for ms in times.values()]
            rows.append((name, size, batch, *each, f"{ratio:.2f}", verdict(ratio, TARGET)))
    engines = ["torch", *(["torch.compile"] if options.compile else []), "onnxruntime"]
    heads = ("network", "T x V", "windows", *(f"{engine}, ms" for engine in engines), "torch / onnxruntime")
    text = markdown((*heads, f"at least {TARGET:g}"), rows)
    device = torch.cuda.get_device_name() if options.cuda else f"{options.threads} thread(s)"
    text += (
        f"\n\nms a window (a run's time by its windows), {device}, median of up to {options.turns} turns that engines "
        f"take one after the other, none begun after {options.patience:g} s; sizes as {options.size}."
    )
    print(text)
    if options.write:
        extra = "".join(f" --{name}" for name in ("compile", "cuda") if getattr(options, name))
        size = f" --size {options.size}" if options.size != "trained" else ""
        write(options.write, PLACE, f"python -m bench export{size}{extra}", text)
    return int(missed)


def measure(name: str, standard: Standard, options: argparse.Namespace) -> dict[int, dict[str, float]]:
    """Batch -> engine -> ms of a run; batches that would take too long are left out."""
    torch.manual_seed(0)
    network = build(name, standard.layout, **{"fps": 30.0, **standard.options}).eval()
    if options.cuda:
        onnxruntime.preload_dlls()
    session = open_graph(to_onnx(network, networks.manifest(name, standard)), options.threads, cuda=options.cuda)
    if options.cuda:
        network = network.cuda()
        must_be_on_cuda(session)
    if options.compile:
        torch.compiler.reset()  # torch compiles the same code for few networks, and then runs it uncompiled
    compiled = torch.compile(network) if options.compile else None
    found: dict[int, dict[str, float]] = {}
    first = min(options.batches)
    for batch in sorted(options.batches):
        if found and sum(found[first].values()) / first * batch / 1e3 > 5 * options.patience:
            continue
        windows = windows_of(standard, batch)
        given = torch.from_numpy(windows)  # (B, T, V, 3)

        def in_torch(answers: Answer, given: Tensor = given) -> Tensor:
            there = given.cuda() if options.cuda else given
            return without_gradients(answers, there).cpu()

        works: Timed = {"torch": lambda ask=in_torch: ask(network)}
        if compiled is not None:
            in_torch(compiled)  # its first run of a size compiles
            works["torch.compile"] = lambda ask=in_torch: ask(compiled)
        works["onnxruntime"] = lambda windows=windows: session.run(None, {"landmarks": windows})
        if not found:
            same("window", in_torch(network), session.run(None, {"landmarks": windows})[0])
        found[batch] = in_turns(works, options.turns, options.patience)
    return found


def must_be_on_cuda(session: onnxruntime.InferenceSession) -> None:
    """Raises ValueError where onnxruntime fell back to the CPU."""
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise ValueError(f"onnxruntime runs it on {session.get_providers()[0]}, not on the GPU")
