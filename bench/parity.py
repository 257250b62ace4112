"""Do our networks give the numbers of the published ones? Weights by the published names, one line a pack."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import torch

from bench import packs, table
from models.checkpoint import CheckpointError
from models.reference import Published, find_family, translate_as


def arguments(command: argparse.ArgumentParser) -> None:
    """What the bench takes."""
    command.add_argument("packs", metavar="DIR", type=Path, nargs="+", help="a pack's folder, or a folder of packs")


def run(options: argparse.Namespace) -> int:
    """Print one line a pack; 1 where one is out of tolerance or cannot be read."""
    rows, worst = [], 0.0
    for folder in _folders(options.packs):
        try:
            pack = packs.load(folder)
            published = translate(pack)
            error = pack.error(answers(pack, published))
            size = sum(p.numel() for p in published.network().parameters())
            rows.append((pack.name, published.network_name, size, f"{error:.3f}", table.verdict(1.0, error)))
        except (packs.PackError, CheckpointError) as trouble:
            error = math.inf
            rows.append((folder.name, "-", "-", "-", "no"))
            print(f"{folder}: {trouble}", file=sys.stderr)
        worst = max(worst, error)
    table.show(("pack", "network", "parameters", "difference / tolerance", "within"), rows)
    return int(not rows or worst > 1)


def translate(pack: packs.Pack) -> Published:
    """The pack's weights as one of our networks, built by the pack's config."""
    family = find_family(pack.config["family"])
    state = {name: torch.from_numpy(values.copy()) for name, values in pack.state.items()}
    return translate_as(family.name, state, family.arguments(pack.config))


def answers(pack: packs.Pack, published: Published) -> dict[str, dict[str, Any]]:
    """run -> output name -> what our network says."""
    family, network = find_family(pack.config["family"]), published.network()
    with torch.inference_mode():
        return {run: family.answer(network, given, pack.about, run) for run, given in pack.inputs.items()}


def _folders(asked: list[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in asked:
        inside = sorted(path.parent for path in folder.glob("*/pack.json"))
        found += inside if inside and not (folder / "pack.json").exists() else [folder]
    return found
