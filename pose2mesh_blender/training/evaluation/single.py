"""One frame at a time: joints under every condition, and the mesh beside its baselines."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.body import Body
from ...core.network import joints as J
from ...core.network.engine import Network
from ..metrics import Estimate, over_clips
from .conditions import CLEAN, CONDITIONS, NOISY, HeldOut
from .joint_errors import joint_errors
from .shots import Shots, lift_stills, solve_stills
from .surface import COLUMNS, SurfaceMeasure

Mesher = Callable[[np.ndarray], np.ndarray]  # joints (N, 71, 3) -> vertices (N, 6890, 3)


def measure_stills(network: Network, held_out: HeldOut, per_clip: int, solved_per_clip: int, seed: int
                   ) -> dict[str, dict]:
    """Condition -> {"lifter": errors of PoseNet's joints, "solvable %": frames with enough keypoints}.

    The clean and the detector-like condition have "solved" too: the points of the body that the product makes of a
    still, for `solved_per_clip` frames of every clip (it takes ten times as long).
    """
    table = {}
    for condition in CONDITIONS:
        shots = held_out.stills(condition, per_clip, seed)
        truth, usable = shots.joints[:, 0, J.H36M], shots.enough[:, 0]
        lifted = lift_stills(network, shots)[0][:, 0, J.H36M]
        lifted[~usable] = np.nan
        row: dict = {"lifter": joint_errors(lifted, truth, shots.clip), "solvable %": float(100 * usable.mean())}
        if condition.name in (CLEAN, NOISY):
            some = _spread(shots.clip, solved_per_clip)
            solved = solve_stills(network, shots.chosen(some))[:, J.H36M]
            row["solved"] = joint_errors(solved, truth[some], shots.clip[some])
        table[condition.name] = row
    return table


def measure_meshes(network: Network, body: Body, shots: Shots, baselines: dict[str, dict[str, Mesher]]
                   ) -> dict[str, dict[str, Estimate]]:
    """Row -> surface.COLUMNS over clips. Every mesh stage gets the same true, or the same lifted, joints."""
    measure = SurfaceMeasure(body)
    shots = shots.chosen(np.flatnonzero(shots.enough[:, 0]))
    truth = np.concatenate([shots.vertices(body, g, np.array([0])) for g in range(len(shots))])
    inside = measure.inside_share(truth)
    lifted, shape = (x[:, 0] for x in lift_stills(network, shots))
    rows: dict[str, tuple[Mesher, np.ndarray]] = {}
    for source, joints, guess in (("true", shots.joints[:, 0], None), ("lifted", lifted, shape)):
        rows[f"{source} joints, MeshNet"] = (lambda j, guess=guess: network.mesh(j, guess).vertices), joints
        for name, stages in baselines.items():
            rows[f"{source} joints, {name}"] = stages[source], joints
    table = {}
    for name, (mesher, joints) in rows.items():
        values = measure(mesher(joints), truth, inside)
        table[name] = {column: over_clips(values[column], shots.clip) for column in COLUMNS}
    return table


def _spread(clip: np.ndarray, per_clip: int) -> np.ndarray:
    """Rows of `per_clip` samples of every clip, spread over those it has."""
    rows = [np.flatnonzero(clip == c) for c in np.unique(clip)]
    return np.concatenate([r[np.linspace(0, len(r) - 1, min(per_clip, len(r))).astype(int)] for r in rows])
