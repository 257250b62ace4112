"""Tiny data sets in the shape of the real ones, written by the tests."""

import numpy as np
import pytest

PERSONS = (1, 2, 3)


def body(random, frames):
    """(T, 258) a person whose hands are at rest."""
    pose = np.zeros((frames, 33, 4), np.float32)
    pose[..., :2] = random.uniform(0.45, 0.55, (1, 33, 2))
    pose[:, 11, :2], pose[:, 12, :2] = (0.65, 0.5), (0.35, 0.5)
    pose[:, 13, :2], pose[:, 14, :2] = (0.7, 0.7), (0.3, 0.7)
    pose[:, 15, :2], pose[:, 16, :2] = (0.6, 0.8), (0.4, 0.8)
    pose[..., 3] = 0.9
    hand = random.uniform(-0.04, 0.04, (1, 21, 3))
    hands = np.concatenate([hand + np.array([x, 0.8, 0]) for x in (0.6, 0.4)], axis=1).repeat(frames, axis=0)
    noise = random.normal(0, 0.001, (frames, 258))
    return (np.concatenate([pose.reshape(frames, -1), hands.reshape(frames, -1)], axis=1) + noise).astype(np.float32)


def waving(random, frames):
    """The same with the right hand going up and down."""
    values = body(random, frames)
    swing = 0.15 * np.sin(np.arange(frames) * random.uniform(0.8, 1.2))
    values[:, 16 * 4 + 1] += swing
    values[:, 132 + 63 + 1 :: 3] += swing[:, None]
    return values


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A data folder with asl-words of three persons: `wave` and `none`, 6 takes each."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    rows = [
        (maker(random, 20), label, person, take)
        for person in PERSONS
        for label, maker in (("wave", waving), ("none", body))
        for take in range(6)
    ]
    values, labels, persons, takes = zip(*rows, strict=True)
    (folder / "asl-words").mkdir()
    np.savez(
        folder / "asl-words" / "words.npz",
        xyz=np.stack(values),
        label=np.array(labels),
        signer=np.array(persons),
        take=np.array(takes),
    )
    return folder


@pytest.fixture(scope="module")
def recipe_file(tiny, tmp_path_factory):
    """A recipe for it that fits in a second or two."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(f"""
name = "tiny"
task = "signing"
[data]
sets = ["asl-words"]
folder = "{tiny}"
[split]
validation = [2]
test = [3]
[window]
frames = 8
stride = 4
[network.options]
widths = [8, 8]
strides = [1, 2]
kernel = 5
pool = "parts"
around_first = true
[fit]
epochs = 3
windows = 160
batch = 16
rate = 0.01
threads = 1
[events]
rule = "balanced"
""")
    return path
