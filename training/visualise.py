"""Embeddings of a run's clips, drawn and as a table: `python -m training visualise`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import Network, checkpoint
from models.sca_stgcn import SCASTGCN
from training import config, embedding
from training.clip import Clip
from training.embedding import Table
from training.evaluate import make_bench
from training.windows import NoWindows

What = Literal["signer", "clip"]
SIDES = ("train", "validation", "test")
BY: dict[str, Callable[[Clip], str]] = {
    "label": lambda clip: clip.label,
    "person": lambda clip: str(clip.person),
    "source": lambda clip: clip.source,
}
"""What colours a plot -> what it says of a clip."""


class NoEmbedding(ValueError):
    """The network has no such embedding."""


def signers(network: Network, windows: Tensor) -> Tensor:
    """(B, T, V, 3) -> (B, E): how each person signs. Raises NoEmbedding for a network that does not tell."""
    if not isinstance(network, SCASTGCN):
        raise NoEmbedding(f"{type(network).__name__} has no signer embedding; sca-stgcn has (or ask for --of clip)")
    return network.describe(network.features(windows)).signer  # (B, E)


def before_head(network: Network, windows: Tensor) -> Tensor:
    """(B, T, V, 3) -> (B, D): what the last layer, a linear one, makes the logits of.

    Looked for as such: the input of a linear layer that gives the logits, of one answer a clip, of the last of several
    moments, or as a mean over draws. Raises NoEmbedding where there is none.
    """
    heads: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda head, inputs, _: heads.append((head, inputs[0])))
        for module in network.modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        logits = network.logits(windows)  # (B, labels)
    finally:
        for hook in hooks:
            hook.remove()
    for head, inputs in reversed(heads):
        if isinstance(head, nn.Linear) and head.out_features == logits.shape[1]:
            for found in _each_clip(inputs, len(windows)):
                if torch.allclose(head(found), logits, rtol=1e-3, atol=1e-4):
                    return found  # (B, D)
    raise NoEmbedding(
        f"the logits of {type(network).__name__} are not those of one linear layer, so there is nothing before it; "
        "of the networks in models.NETWORKS all end in one as they are built by default (with one member)"
    )


def _each_clip(inputs: Tensor, clips: int) -> list[Tensor]:
    """Ways in which the input of a layer may be (B, D)."""
    if inputs.dim() == 3 and len(inputs) == clips:
        return [inputs[:, -1]]  # (B, D) of the last moment
    if inputs.dim() == 2 and len(inputs) % clips == 0:
        return [inputs.unflatten(0, (clips, -1)).mean(dim=1)]  # (B, D), of several draws their mean
    return []


def of_windows(network: Network, windows: NDArray[np.float32], what: What, batch: int = 64) -> NDArray[np.float32]:
    """(N, T, V, 3) -> (N, D), `signers` or `before_head`."""
    embed = {"signer": signers, "clip": before_head}[what]
    with torch.inference_mode():
        parts = [embed(network, torch.from_numpy(windows[i : i + batch])) for i in range(0, len(windows), batch)]
    return torch.cat(parts).numpy()


def of_run(run: Path, what: What | Literal[""] = "", sides: Sequence[str] = SIDES) -> tuple[list[Clip], Table, What]:
    """The clips of a run's sides, their mean embeddings over windows, and what these are of: by default of signers
    where the network tells, else of clips. The table's labels are the clips' own."""
    saved = checkpoint.load(run)
    network = saved.network()
    what = what or ("signer" if isinstance(network, SCASTGCN) else "clip")
    recipe = config.from_dict(saved.recipe)
    bench = make_bench(recipe)
    kept, labels, found = [], [], []
    for clip in (clip for side in sides for clip in getattr(bench.split, side)):
        # One by one: some sets count all clips of a recorder as one take.
        try:
            windows = bench.task.windows([clip], recipe.window.stride)
        except NoWindows:
            continue  # no hand is ever seen
        kept.append(clip)
        labels.append(clip.label)
        found.append(of_windows(network, windows.landmarks, what).mean(axis=0))
    return kept, Table(tuple(clip.take for clip in kept), tuple(labels), np.stack(found)), what


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training visualise`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, help="folder (default: RUN/embeddings)")
    parser.add_argument("--of", choices=("signer", "clip"), default="", help="default: signer where there is one")
    parser.add_argument("--by", choices=tuple(BY), help="what colours (default: person for signers, label for clips)")
    parser.add_argument("--highlight", metavar="LABEL", help="this one in blue, all others in grey")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES, help="whose clips (default: all)")
    names = tuple(embedding.PROJECTIONS)
    parser.add_argument("--projections", nargs="+", choices=names, default=names, help="default: all")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace, report: Callable[[str], object]) -> int:
    """Write the embeddings as a table and a picture a projection."""
    clips, table, what = of_run(options.run, options.of, options.sides)
    by = options.by or ("person" if what == "signer" else "label")
    labels = tuple(BY[by](clip) for clip in clips)
    if options.highlight is not None and options.highlight not in labels:
        known = ", ".join(sorted(set(labels)))
        raise ValueError(f"no clip's {by} is {options.highlight!r}; there are {known}")
    out = options.out or options.run / "embeddings"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{what}-{by}.csv"
    embedding.write_csv(path, Table(table.videos, labels, table.embeddings))
    report(f"{len(clips)} clips, {table.embeddings.shape[1]} numbers each\nwritten: {path}")
    for name in options.projections:
        flat = embedding.project(name, table.embeddings, options.seed)
        path = out / f"{what}-{by}-{name}.png"
        embedding.plot(path, flat, labels, options.highlight, title=f"{name} of {what} embeddings, by {by}")
        report(f"written: {path}")
    return 0
