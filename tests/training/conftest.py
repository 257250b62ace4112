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


def hand(fingers, thumb=1.0):
    """(21, 2) a hand whose fingers are so long and whose thumb points up, or down at -1."""
    points = np.zeros((21, 2), np.float32)
    for finger in range(4):
        base = np.array([0.3, -0.15 + 0.1 * finger])
        points[5 + 4 * finger : 9 + 4 * finger] = base + np.outer(np.linspace(0, fingers, 4), [1, 0])
    points[1:5] = np.outer(np.linspace(0.1, 0.5, 4), [0.2, -thumb])
    return points


@pytest.fixture
def shapes_recipe(tmp_path):
    """Of eight recorders who show one of two shapes, or none, twelve times each."""
    random = np.random.default_rng(0)
    kinds = {"open": hand(1.0), "fist": hand(0.1), "nothing": hand(0.5, thumb=-1)}
    rows = [
        (points + 0.03 * random.standard_normal((21, 2)), label, person)
        for person in range(31, 39)
        for label, points in kinds.items()
        for _ in range(12)
    ]
    points, words, persons = zip(*rows, strict=True)
    (tmp_path / "finger-paths").mkdir()
    np.savez(
        tmp_path / "finger-paths" / "hand-shapes.npz",
        xy=np.stack(points).astype(np.float32), label=np.array(words), recorder=np.array(persons),
    )  # fmt: skip
    path = tmp_path / "tiny.toml"
    path.write_text(f"""
name = "tiny"
task = "controls"
[data]
sets = ["hand-shapes"]
folder = "{tmp_path}"
[split]
validation = [31, 32]
test = [33, 34]
refit = false
[window]
frames = 1
stride = 1
centre = 1.0
[network]
name = "stgcn"
layout = "hand_21"
options = {{ widths = [16, 16], strides = [1, 1], kernel = 1, edges = "free", around_first = true, axes = 2 }}
[augment]
turn_deg = 0
late = 0
ended = 0
[fit]
epochs = 3
windows = 320
batch = 32
rate = 1e-2
threads = 1
workers = 0
[controls]
others = ["nothing"]
[controls.shows]
open = ["open"]
fist = ["fist"]
""")
    return path
