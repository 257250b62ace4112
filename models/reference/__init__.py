"""Published checkpoints -> our networks, with the weights in their places or not at all."""

from models.reference.families import FAMILIES, find_family, recognise, translate, translate_as
from models.reference.files import read
from models.reference.published import Family, PartialLoad, Published, UnknownCheckpoint

__all__ = [
    "FAMILIES",
    "Family",
    "PartialLoad",
    "Published",
    "UnknownCheckpoint",
    "find_family",
    "read",
    "recognise",
    "translate",
    "translate_as",
]
