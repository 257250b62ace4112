"""asl-signs: Kaggle's isolated ASL signs, 250 words by 21 signers, as parquet (Google, CC BY 4.0).

FOLDER/asl-signs holds train.csv (path, participant_id, sequence_id, sign) and the files that it names.
"""

from __future__ import annotations

import csv
from pathlib import Path

from landmarks.formats import Given, asl_parquet
from training.clip import Clip

SOURCE = "asl-signs"


def load(folder: Path) -> list[Clip]:
    """The clips whose files are there; a person is the participant's number."""
    with (folder / SOURCE / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    clips = []
    for row in rows:
        path = folder / SOURCE / row["path"]
        if path.is_file():
            sequence = asl_parquet.read(path.read_bytes(), Given())
            person = int(row["participant_id"])
            clips.append(Clip(sequence, row["sign"], person, f"{SOURCE}/{person}/{row['sequence_id']}", SOURCE))
    return clips
