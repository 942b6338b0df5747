"""Joint errors, whole and by limb."""
from __future__ import annotations

import numpy as np

from ...core.skeletons import H36M17
from ..metrics import over_clips, procrustes_error

GROUPS = {name: [i for i, n in enumerate(H36M17) if any(part in n for part in parts)] for name, parts in {
    "trunk": ("pelvis", "torso", "neck"), "head": ("nose", "head"), "shoulders": ("shoulder",), "elbows": ("elbow",),
    "wrists": ("wrist",), "hips": ("_hip",), "knees": ("knee",), "ankles": ("ankle",)}.items()}


def joint_errors(predicted: np.ndarray, truth: np.ndarray, clip: np.ndarray) -> dict:
    """(N, 17, 3) H36M joints twice, NaN rows where nothing was solved; clip (N,) -> mm, each an Estimate over clips:
    MPJPE and PA-MPJPE, both also per group of joints ("by limb") and per joint."""
    found = np.isfinite(predicted).all((1, 2))
    plain, pa = np.full((2, *truth.shape[:2]), np.nan)
    plain[found] = np.linalg.norm(predicted[found] - truth[found], axis=-1) * 1000
    pa[found] = procrustes_error(predicted[found].astype(np.float64), truth[found].astype(np.float64)) * 1000
    out: dict = {}
    for name, values in (("MPJPE", plain), ("PA-MPJPE", pa)):
        out[name] = over_clips(values.mean(1), clip)
        out[f"{name} by limb"] = {g: over_clips(values[:, rows].mean(1), clip) for g, rows in GROUPS.items()}
        out[f"{name} by joint"] = {n: over_clips(values[:, i], clip) for i, n in enumerate(H36M17)}
    return out
