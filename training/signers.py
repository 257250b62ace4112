"""Pseudo-signers: who seems to sign, where nobody wrote it down.

Statistics of a clip that a body and a manner have and a camera has not: proportions and pace, in shoulder widths, over
what was seen. Standardised, clustered by k-means, and reported on: clusters that follow the framing, the source or
missing hands are no signers.

The published recipe clusters raw means and spreads with zeros for what was not seen, which finds cameras and lost
hands; `framing` gives just those, to be compared with.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landmarks import Layout
from training.motion import hands_seen, shoulder_width

Points = NDArray[np.float32]

STATISTICS = (
    "upper_arm",
    "forearm",
    "head_height",
    "torso",
    "palm",
    "middle_finger",
    "thumb",
    "palm_breadth",
    "pace",
    "burst",
    "right_share",
    "reach_across",
    "reach_up",
    "hand_height",
    "together",
)
"""What `statistics` measures: lengths of upper arm, forearm, nose above shoulders, shoulder to hip; wrist to middle
knuckle, middle finger, wrist to thumb tip, index to little knuckle; median and 90th percentile of the faster wrist's
speed (a second); the right wrist's share of both wrists' movement; spread of the wrists across and up; the upper wrist
below the shoulders; both wrists' distance. All in shoulder widths but the share."""

FRAMING = ("centre_x", "centre_y", "shoulder_width", "hand_share")
"""What `framing` measures: where the shoulders are, how wide they are, and the share of frames that see a hand."""


FILLS = 10
"""How often what was not seen is filled in by k-means, which is then fitted again."""


def statistics(xyz: Points, layout: Layout, fps: float) -> NDArray[np.float32]:
    """(15,) the STATISTICS of a clip, NaN where a joint is not of the layout or was never seen; all
    of them NaN where no frame shows both shoulders.

    xyz: (T, V, 3) square units with NaN where unseen, of a layout with shoulders; z is not looked at. Moving or scaling
    the picture changes nothing. Lengths are 90th percentiles over frames: a limb that points at the camera looks short.
    """
    together = np.isfinite(_middle(xyz[..., :2], layout)).any()
    # Without shoulders there is no unit, and lengths in the picture's would be the camera's.
    points = xyz[..., :2] / np.float32(shoulder_width(xyz, layout) if together else np.nan)
    centre = _middle(points, layout)  # (T, 2)

    def joint(name: str) -> NDArray[np.float32]:
        return points[:, layout.indices(name)[0]] if name in layout else np.full_like(centre, np.nan)

    def length(one: str, other: str) -> float:
        sides = [np.linalg.norm(joint(f"{s}_{one}") - joint(f"{s}_{other}"), axis=-1) for s in ("left", "right")]
        return _percentile(np.concatenate(sides), 90)

    wrists = np.stack([_hand(joint, "left"), _hand(joint, "right")])  # (2, T, 2)
    steps = np.stack([_steps(wrist, fps) for wrist in wrists])  # (2, T-1)
    moved = np.nan_to_num(steps).sum(axis=1)  # (2,)
    faster = _most(steps)  # (T-1,)
    about = wrists - centre  # (2, T, 2)
    values = (
        length("elbow", "shoulder"),
        length("wrist", "elbow"),
        _percentile(centre[:, 1] - joint("nose")[:, 1], 50),
        length("hip", "shoulder"),
        length("hand_middle_mcp", "hand_wrist"),
        length("hand_middle_tip", "hand_middle_mcp"),
        length("hand_thumb_tip", "hand_wrist"),
        length("hand_pinky_mcp", "hand_index_mcp"),
        _percentile(faster, 50),
        _percentile(faster, 90),
        float(moved[1] / moved.sum()) if moved.sum() > 0 else np.nan,
        _percentile(about[..., 0], 90) - _percentile(about[..., 0], 10),
        _percentile(about[..., 1], 90) - _percentile(about[..., 1], 10),
        _percentile(-_most(-about[..., 1]), 50),
        _percentile(np.linalg.norm(wrists[0] - wrists[1], axis=-1), 50),
    )
    return np.array(values, dtype=np.float32)


def framing(xyz: Points, layout: Layout) -> NDArray[np.float32]:
    """(4,) the FRAMING of a clip: what its camera and its tracker did, in square units; NaN where never seen."""
    centre = _middle(xyz[..., :2], layout)
    seen = float(hands_seen(xyz, layout).mean()) if len(xyz) else np.nan
    return np.array(
        [_percentile(centre[:, 0], 50), _percentile(centre[:, 1], 50), shoulder_width(xyz, layout), seen], np.float32
    )


def _middle(points: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    return points[:, layout.indices("left_shoulder", "right_shoulder")].mean(axis=1)


def _hand(joint: Any, side: str) -> NDArray[np.float32]:
    """(T, 2) the pose's wrist, or else the hand's own."""
    wrist, own = joint(f"{side}_wrist"), joint(f"{side}_hand_wrist")
    return np.where(np.isnan(wrist), own, wrist)


def _steps(path: NDArray[np.float32], fps: float) -> NDArray[np.float32]:
    return np.linalg.norm(np.diff(path, axis=0), axis=-1) * np.float32(fps)


def _most(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The larger of two rows (2, N) -> (N,); NaN where both are."""
    return np.fmax(values[0], values[1])


def _percentile(values: NDArray[np.float32], percent: float) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return float(np.nanpercentile(values, percent)) if values.size else np.nan


@dataclass(frozen=True)
class PseudoSigners:
    """K clusters of F standardised statistics; what they were fitted on need not be kept.

    statistics: F names. centre, scale: (F,) mean and spread over the clips that have the statistic. centroids: (K, F),
    standardised. Plain floats, so that a checkpoint or JSON can hold it.
    """

    statistics: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    centroids: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        sizes = {len(self.statistics), len(self.centre), len(self.scale), *map(len, self.centroids)}
        if len(sizes) != 1 or not self.centroids or not min(self.scale) > 0:
            raise ValueError(
                "need centroids, as many numbers as statistics everywhere, and scales above 0, got "
                f"{len(self.centroids)} centroids, sizes {sorted(sizes)}, the least scale {min(self.scale, default=0)}"
            )

    def standardise(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, F) statistics -> (N, F) of mean 0 and spread 1, at most 5 from 0, NaN where there is none."""
        return np.clip((np.asarray(values, np.float64) - np.array(self.centre)) / np.array(self.scale), -5, 5)

    def assign(self, values: NDArray[np.floating]) -> NDArray[np.intp]:
        """(N, F) statistics, of new clips too -> (N,) the nearest cluster of each, by the statistics that it has."""
        away = self.standardise(values)[:, None] - np.array(self.centroids)  # (N, K, F)
        return np.nansum(away**2, axis=-1).argmin(axis=1)

    def to_dict(self) -> dict[str, Any]:
        """As plain values; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> PseudoSigners:
        """From plain values, JSON's lists too."""
        return cls(
            tuple(raw["statistics"]), tuple(raw["centre"]), tuple(raw["scale"]), tuple(map(tuple, raw["centroids"]))
        )


def cluster(
    values: NDArray[np.floating], clusters: int, seed: int = 0, names: tuple[str, ...] = STATISTICS
) -> PseudoSigners:
    """k-means of the training clips' statistics (N, F), the best of ten starts; deterministic for a seed.

    What a clip has not got is filled by its cluster, again and again (k-POD, Chi et al. 2016), so that missing hands
    make no cluster. A statistic that no clip has plays no part. Clusters are numbered by size.
    Raises ValueError for more clusters than clips that differ.
    """
    from sklearn.cluster import KMeans

    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"need (N, {len(names)}) statistics, got {values.shape}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice|Degrees of freedom", RuntimeWarning)
        centre = np.nan_to_num(np.nanmean(values, axis=0))
        scale = np.nan_to_num(np.nanstd(values, axis=0))
    scale[scale < 1e-6] = 1.0
    blank = PseudoSigners(names, tuple(centre.tolist()), tuple(scale.tolist()), ((0.0,) * len(names),))
    standard = blank.standardise(values)  # (N, F)
    filled, missing = np.nan_to_num(standard), np.isnan(standard)
    if not 1 <= clusters <= len(np.unique(filled, axis=0)):
        raise ValueError(f"need 1 <= clusters <= clips that differ, got {clusters} of {len(np.unique(filled, axis=0))}")
    means = KMeans(clusters, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType]
    assigned = means.fit_predict(filled)
    for _ in range(FILLS if missing.any() else 0):
        assigned = means.fit_predict(np.where(missing, means.cluster_centers_[assigned], standard))
    order = np.argsort(-np.bincount(assigned, minlength=clusters), kind="stable")
    centroids = means.cluster_centers_[order]
    return PseudoSigners(names, blank.centre, blank.scale, tuple(map(tuple, centroids.tolist())))


def report(assigned: NDArray[np.intp], known: Mapping[str, ArrayLike], parts: int = 4) -> dict[str, dict[str, float]]:
    """What the clusters follow: for each thing that is known of the clips, how much of it a cluster tells.

    assigned: (N,) cluster of each clip. known: name -> (N,) persons, sources, or numbers such as the FRAMING (floats
    are cut into `parts` equally full parts; NaN is a part of its own).

    mutual_information: adjusted for chance, 1 where one tells the other, about 0 where neither tells anything (Vinh et
    al. 2010). purity: share of clips that are what most of their cluster are. baseline: the purity of one single
    cluster. Good pseudo-signers follow the person where that is known, and little else.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    found = {}
    for name, values in known.items():
        things = _things(np.asarray(values), parts)
        table = np.zeros((assigned.max(initial=0) + 1, things.max(initial=0) + 1), np.intp)
        np.add.at(table, (assigned, things), 1)
        found[name] = {
            "mutual_information": float(adjusted_mutual_info_score(things, assigned)),
            "purity": float(table.max(axis=1).sum() / len(things)),
            "baseline": float(table.sum(axis=0).max() / len(things)),
        }
    return found


def _things(values: NDArray, parts: int) -> NDArray[np.intp]:
    if not np.issubdtype(values.dtype, np.floating):
        return np.unique(values, return_inverse=True)[1]
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values), np.intp)
    inner = np.unique(np.quantile(values[there], np.arange(1, parts) / parts))
    return np.where(there, np.searchsorted(inner, np.nan_to_num(values)), len(inner) + 1)
