"""ntu: folders of NTU RGB+D's `.skeleton` files, 60 or 120 actions (Shahroudy et al. 2016, Liu et al. 2019).

A file is named S001C002P003R002A013: setup, camera, person, repetition, action.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from landmarks import NoFrames
from landmarks.formats import ntu
from training.clip import Clip

SOURCE = "ntu"
PERSONS_FROM = 1000
"""Person P001 is person 1001."""

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


class Name(NamedTuple):
    """What a recording's name says, all counted from 1."""

    setup: int
    camera: int
    person: int
    repetition: int
    action: int


def parse(name: str) -> Name | None:
    """The numbers in a name that holds one like S001C002P003R002A013; None for others."""
    found = _NAME.search(name)
    return Name(*map(int, found.groups())) if found else None


def load(folder: Path, people: int = 1) -> list[Clip]:
    """The clips of FOLDER/ntu/**/*.skeleton, labelled A001 and so on; files in which nobody is seen are left out.

    people: 2 gives the second actor of a recording, where there is one, as a clip of the same take.
    Raises FormatError, which names the file, for a broken one or one with another name.
    """
    clips = []
    for path in sorted((folder / SOURCE).rglob("*.skeleton")):
        name = parse(path.stem)
        if name is None:
            raise ValueError(f"{path} is not named like S001C002P003R002A013.skeleton")
        try:
            actors = ntu.actors(ntu.read_bodies(path.read_bytes()))
        except NoFrames:
            continue
        except ValueError as error:
            raise type(error)(f"{path}: {error}") from error
        clips += [
            Clip(
                ntu.sequence(actor),
                f"A{name.action:03}",
                PERSONS_FROM + name.person,
                f"{SOURCE}/{path.stem}",
                SOURCE,
                name.camera,
            )
            for actor in actors[:people]
        ]
    return clips
