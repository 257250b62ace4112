"""nw-ucla: Northwestern-UCLA Multiview Action 3D, ten actions before three Kinects at once (Wang et al. 2014).

The benchmark trains on views 1 and 2 and tests on view 3: persons, and even performances, are on both sides.
"""

from __future__ import annotations

from pathlib import Path

from training.clip import Clip
from training.datasets import kinect

SOURCE = "nw-ucla"
PERSONS_FROM = 100
"""Subject 1 is person 101."""
ACTIONS = {
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}


def load(folder: Path) -> list[Clip]:
    """The clips of FOLDER/nw-ucla/skeletons.npz; each camera's recording is a take of its own."""
    sequences, about = kinect.read(folder / SOURCE / "skeletons.npz")
    rows = zip(sequences, *(about[key].tolist() for key in ("action", "subject", "take", "view")), strict=True)
    return [
        Clip(
            sequence,
            ACTIONS[action],
            PERSONS_FROM + subject,
            f"{SOURCE}/v{view}/{action}/{subject}/{take}",
            SOURCE,
            view,
        )
        for sequence, action, subject, take, view in rows
    ]
