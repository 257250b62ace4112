"""shrec21: streams of hand gestures over a Leap Motion, 50 frames a second (Caputo et al. 2021).

FOLDER/shrec21 holds, for training_set and test_set, sequences/NUMBER.txt and annotations.txt, whose lines are
NUMBER;label;first frame;last frame;label;first frame;last frame;... Later editions revised the annotations: say which.
Nobody says who performs: person 0.
"""

from __future__ import annotations

from pathlib import Path

from landmarks.formats import Given, shrec
from training.stream import Event, Stream

SOURCE = "shrec21"
FPS = 50.0
SETS = ("training_set", "test_set")


def streams(folder: Path) -> list[Stream]:
    """The streams of those sets that are there; a take is `shrec21/training_set/NUMBER`.

    Raises ValueError, naming the line, for an annotation that is not as above.
    """
    found = []
    for part in SETS:
        annotations = folder / SOURCE / part / "annotations.txt"
        if not annotations.is_file():
            continue
        for i, line in enumerate(annotations.read_text().splitlines(), start=1):
            number, *words = line.strip().rstrip(";").split(";")
            if not number:
                continue
            if len(words) % 3:
                raise ValueError(f"{annotations}, line {i}: need label;first;last for every gesture")
            events = (
                Event(label, int(first) / FPS, int(last) / FPS)
                for label, first, last in zip(words[::3], words[1::3], words[2::3], strict=True)
            )
            content = (folder / SOURCE / part / "sequences" / f"{number}.txt").read_bytes()
            ordered = tuple(sorted(events, key=lambda event: event.start_s))
            sequence = shrec.read(content, Given(fps=FPS))
            found.append(Stream(sequence, "", 0, f"{SOURCE}/{part}/{number}", SOURCE, events=ordered))
    return found
