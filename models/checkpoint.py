"""A trained network on disk: weights, how it is built, its manifest and its recipe; loading runs no code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landmarks import Layout, Manifest
from models.network import Network
from models.registry import build

FILE = "model.pt"
"""Name of the checkpoint in a run's folder."""


class CheckpointError(ValueError):
    """A file that is no checkpoint of ours."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that outlives a fit or an import.

    manifest: names the network too. layout: of its input. options: fields of the network's Config.
    weights: its state dict. recipe: where they come from, as plain values.
    """

    manifest: Manifest
    layout: Layout
    options: dict[str, Any]
    weights: dict[str, Tensor]
    recipe: dict[str, Any]

    def network(self) -> Network:
        """The network with these weights, in evaluation mode."""
        network = build(self.manifest.network, self.layout, **self.options)
        network.load_state_dict(self.weights)
        return network.eval()

    def save(self, run: Path) -> Path:
        """Write it into the folder of a run; returns the file."""
        run.mkdir(parents=True, exist_ok=True)
        layout = {"name": self.layout.name, "joints": self.layout.joints, "bones": self.layout.bones}
        layout |= {"centre": self.layout.centre, "solid": self.layout.solid}
        about = {"layout": layout, "options": self.options, "recipe": self.recipe}
        path = run / FILE
        partial = path.with_suffix(".partial")
        torch.save({"manifest": self.manifest.to_json(), "about": json.dumps(about), "weights": self.weights}, partial)
        partial.replace(path)
        return path


def load(run: Path) -> Checkpoint:
    """The checkpoint of a run's folder, or of a file. Raises CheckpointError; nothing in the file is executed."""
    path = run / FILE if run.is_dir() else run
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; `python -m training fit RECIPE --out RUN` makes one")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        about = json.loads(saved["about"])
        layout = about["layout"]
        return Checkpoint(
            manifest=Manifest.from_json(saved["manifest"]),
            layout=Layout(
                layout["name"],
                tuple(layout["joints"]),
                tuple((child, parent) for child, parent in layout["bones"]),
                layout.get("centre", ""),
                layout.get("solid", False),
            ),
            options={key: tuple(v) if isinstance(v, list) else v for key, v in about["options"].items()},
            weights=saved["weights"],
            recipe=about["recipe"],
        )
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(f"{path} is no checkpoint of ours: {error}") from error
