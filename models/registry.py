"""Every network by its name."""

from __future__ import annotations

from typing import Any

from landmarks import Layout
from models import arm_gru, continual, dsta_slr, impsgn, sca_stgcn, sgn, signing_lstm, st_sgcn, stgcn
from models.network import Network


class UnknownNetwork(ValueError):
    """No network of that name."""


NETWORKS: dict[str, tuple[type[Any], type[Network]]] = {
    "arm-gru": (arm_gru.Config, arm_gru.ArmGRU),
    "dsta-slr": (dsta_slr.Config, dsta_slr.DSTASLR),
    "sca-stgcn": (sca_stgcn.Config, sca_stgcn.SCASTGCN),
    "impsgn": (impsgn.Config, impsgn.ImpSGN),
    "sgn": (sgn.Config, sgn.SGN),
    "signing-lstm": (signing_lstm.Config, signing_lstm.SigningLSTM),
    "costgcn": (continual.Config, continual.CoSTGCN),
    "costgcn++": (continual.PlusConfig, continual.CoSTGCN),
    "st-sgcn": (st_sgcn.Config, st_sgcn.STSGCN),
    "stgcn": (stgcn.Config, stgcn.STGCN),
    "stgcn++": (stgcn.PlusConfig, stgcn.STGCN),
}
"""Name -> (its Config, the network). A network is built as `network(layout, config)`; it takes landmarks
(B, T, V, 3) in square units with NaN where unseen, `logits` gives (B, labels) and calling it their softmax."""


def build(name: str, layout: Layout, **options: Any) -> Network:
    """A fresh network of that name for a layout; `options` are the fields of its Config.

    Raises UnknownNetwork, which names those there are; TypeError for an option that its Config lacks.
    """
    if name not in NETWORKS:
        raise UnknownNetwork(f"no network {name!r}; choose from {', '.join(sorted(NETWORKS))}")
    config, network = NETWORKS[name]
    return network(layout, config(**options))
