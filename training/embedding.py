"""Embeddings looked at: two dimensions of many, as a plot and as a table.

As the visualiser of SCA-STGCN does it (t-SNE of perplexity 30 and seed 0, or principal components; CSV of video, label
and the numbers), for embeddings of signers or any others.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.floating]
Flat = NDArray[np.float32]


class UnknownProjection(ValueError):
    """No projection of that name."""


def pca(embeddings: Embeddings, seed: int = 0) -> Flat:
    """(N, D) -> (N, 2) the two directions of the largest spread; the seed plays no part.

    One dimension gets a second of zeros.
    """
    from sklearn.decomposition import PCA

    points = _checked(embeddings)
    axes = min(2, points.shape[1])
    flat = PCA(axes, svd_solver="full").fit_transform(points)
    return np.pad(flat, ((0, 0), (0, 2 - axes))).astype(np.float32)


def tsne(embeddings: Embeddings, seed: int = 0, perplexity: float = 30.0) -> Flat:
    """(N, D) -> (N, 2) near to each other what is near (van der Maaten & Hinton 2008); distances between clusters and
    their sizes mean nothing. perplexity: about as many neighbours count; at most a third of the others."""
    from sklearn.manifold import TSNE

    points = _checked(embeddings)
    most = min(perplexity, (len(points) - 1) / 3)
    start = "pca" if points.shape[1] > 1 else "random"
    return TSNE(2, perplexity=most, init=start, random_state=seed).fit_transform(points).astype(np.float32)


def umap(embeddings: Embeddings, seed: int = 0, neighbours: int = 15) -> Flat:
    """(N, D) -> (N, 2) by UMAP (McInnes et al. 2018). The first call of a process compiles for some 20 s.

    neighbours: that count for a point; at most all others.
    """
    with warnings.catch_warnings():
        # It tells whoever has no TensorFlow that a part of it, not used here, needs that.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    points = _checked(embeddings)
    # A seed takes one thread; asked for, it says nothing about that.
    return UMAP(n_neighbors=min(neighbours, len(points) - 1), random_state=seed, n_jobs=1).fit_transform(points)


def _checked(embeddings: Embeddings) -> NDArray[np.float64]:
    if embeddings.ndim != 2 or len(embeddings) < 5:
        raise ValueError(f"need (N, D) embeddings of at least 5 samples, got {embeddings.shape}")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings must be finite")
    return embeddings.astype(np.float64)


PROJECTIONS: dict[str, Callable[[Embeddings, int], Flat]] = {"tsne": tsne, "pca": pca, "umap": umap}
"""Name -> (embeddings (N, D), seed) -> (N, 2)."""


def project(name: str, embeddings: Embeddings, seed: int = 0) -> Flat:
    """(N, 2) by a projection's name; raises UnknownProjection, which names those there are."""
    if name not in PROJECTIONS:
        raise UnknownProjection(f"no projection {name!r}; choose from {', '.join(sorted(PROJECTIONS))}")
    return PROJECTIONS[name](embeddings, seed)


@dataclass(frozen=True, eq=False)
class Table:
    """Embeddings and where they are from. videos, labels: N each. embeddings: (N, D)."""

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    embeddings: Embeddings

    def __post_init__(self) -> None:
        sizes = (len(self.videos), len(self.labels), *self.embeddings.shape[:1])
        if self.embeddings.ndim != 2 or len(set(sizes)) != 1:
            raise ValueError(f"need N videos, N labels and (N, D) embeddings, got {sizes[:2]}, {self.embeddings.shape}")


def write_csv(path: Path, table: Table) -> None:
    """video, label, e0 .. eD-1: one row a sample, numbers to the last digit of a float32."""
    numbers = table.embeddings.astype(np.float32)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "label", *(f"e{i}" for i in range(numbers.shape[1]))])
        for video, label, row in zip(table.videos, table.labels, numbers, strict=True):
            rows.writerow([video, label, *(format(value, ".9g") for value in row.tolist())])


def read_csv(path: Path) -> Table:
    """What `write_csv`, or SCA-STGCN's visualiser, has written. Raises ValueError for another header or a torn row."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    expected = ["video", "label", *(f"e{i}" for i in range(len(header) - 2))]
    if header != expected or len(header) < 3:
        raise ValueError(f"{path}: need the columns video,label,e0,e1,..., got {','.join(header[:4])}")
    if torn := [i for i, row in enumerate(rows, start=2) if len(row) != len(header)]:
        raise ValueError(f"{path}: line {torn[0]} has {len(rows[torn[0] - 2])} columns of {len(header)}")
    numbers = np.array([[float(value) for value in row[2:]] for row in rows], np.float32).reshape(len(rows), -1)
    return Table(tuple(row[0] for row in rows), tuple(row[1] for row in rows), numbers)


def plot(path: Path, points: Flat, labels: Sequence[str], highlight: str | None = None, title: str = "") -> None:
    """A scatter of (N, 2) points as a picture; the ending of `path` says which kind.

    highlight: this label in blue over all others in grey (SCA-STGCN: signing). None: a colour a label, most frequent
    first; twenty colours come round again.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = np.asarray(labels)
    if len(names) != len(points):
        raise ValueError(f"need a label a point, got {len(names)} for {len(points)}")
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    found, counts = np.unique(names, return_counts=True)
    if highlight is None:
        ordered = found[np.argsort(-counts, kind="stable")].tolist()
        colours = colormaps["tab20"].colors  # pyright: ignore[reportAttributeAccessIssue]
        groups = [(name, names == name, colours[i % len(colours)]) for i, name in enumerate(ordered)]
    else:
        groups = [("others", names != highlight, "0.7"), (highlight, names == highlight, "tab:blue")]
    groups = [group for group in groups if group[1].any()]
    for name, chosen, colour in groups:
        axes.scatter(*points[chosen].T, s=8, color=colour, label=f"{name} ({chosen.sum()})", linewidths=0)
    axes.set(xticks=[], yticks=[], title=title)
    if len(groups) <= 30:
        legend = axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
        for text in legend.get_texts():
            text.set_parse_math(False)  # a label with $ is no formula
    figure.savefig(path, dpi=120)
