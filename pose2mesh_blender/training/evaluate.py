"""`pose2mesh evaluate`: the shipped network on held-out motion and on real keypoints. Needs no torch."""
from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core.body import Body, load_body
from ..core.network import joints as J
from ..core.network.engine import Network, OnnxEngine, load_network
from ..core.network.features import features
from ..core.skeletons import COCO17, FEET6, H36M17
from ..core.solve import solve_motion
from .baselines import Ridge
from .metrics import procrustes_error
from .synthetic import Batch, Motion, Sampler, load_motion

CARD_START, CARD_END = "<!-- evaluation -->", "<!-- /evaluation -->"
LIMBS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
         "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
HANDS = (20, 21, 22, 23)  # smpl24 joints whose vertices are the hands


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="pose2mesh evaluate", description="Measures the shipped network; errors in millimetres.",
        epilog="Example: pose2mesh evaluate --mocap cmu.npz --real pose2sim_balancing_4view.npz --json results.json")
    p.add_argument("--mocap", type=Path, nargs="+", default=[], help="motion; only its held-out subjects are used")
    p.add_argument("--real", type=Path, help="four-camera check (.npz with joints2d_px, joints3d_world_m, K, R_w2c)")
    p.add_argument("--samples", type=int, default=1000, help="held-out poses (default: 1000)")
    p.add_argument("--baseline", action="store_true", help="also fit and measure ridge regression, joints to vertices")
    p.add_argument("--weights", type=Path, help="folder of another network, before it is shipped")
    p.add_argument("--json", type=Path, help="write the table here")
    p.add_argument("--card", type=Path, help="put the table into this MODEL_CARD.md")
    return p


def coco_only(b: Batch) -> Batch:
    """The same batch without the feet."""
    confidence = b.view.confidence.copy()
    confidence[:, 17:] = 0
    return Batch(b.view._replace(confidence=confidence), b.definition, b.joints, b.extra, b.rotations, b.shape)


def held_out(network: Network, body: Body, motion: Motion, samples: int, seed: int = 7,
             ridge: Ridge | None = None) -> dict[str, dict]:
    """Name of the condition -> errors in mm over held-out poses, each with its own body and camera.

    ridge: a baseline that is measured on the same lifted and true joints.
    """
    rng = np.random.default_rng(seed)
    frames = rng.choice(motion.distinct, samples)
    hands = np.isin(body.weights.argmax(1), HANDS)
    table = {}
    for name, clean in (("clean, body23", True), ("clean, COCO-17", True), ("detector-like, body23", False),
                        ("detector-like, COCO-17", False)):
        b = Sampler(body, motion, seed, extra=np.arange(6890)).batch(samples, clean=clean, frames=frames)
        if name.endswith("COCO-17"):
            b = coco_only(b)
        joints, shape = network.lift_features(features(b.view, b.definition))
        table[name] = _errors(lambda j, s: network.mesh(j, s).vertices, body, joints, shape, b, hands)
        if ridge and name == "detector-like, body23":
            table[f"{name}, ridge"] = _errors(lambda j, s: ridge(j), body, joints, shape, b, hands)
    b = Sampler(body, motion, seed, extra=np.arange(6890)).batch(samples, clean=True, frames=frames)
    table["mesh from true joints"] = _errors(lambda j, s: network.mesh(j).vertices, body, b.joints, b.shape, b, hands)
    if ridge:
        table["mesh from true joints, ridge"] = _errors(lambda j, s: ridge(j), body, b.joints, b.shape, b, hands)
    return table


def _errors(mesh: Callable[[np.ndarray, np.ndarray], np.ndarray], body: Body, joints: np.ndarray, shape: np.ndarray,
            b: Batch, hands: np.ndarray) -> dict:
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i in range(0, len(joints), 32):
        s = slice(i, i + 32)
        vertices = mesh(joints[s], shape[s])
        pieces.append((np.linalg.norm(vertices - b.extra[s], axis=-1), procrustes_error(vertices, b.extra[s]),
                       body.regress("h36m17", vertices)))
    vertex, vertex_pa, from_mesh = (np.concatenate(piece) for piece in zip(*pieces))
    truth = b.joints[:, J.H36M]
    per_joint = np.linalg.norm(from_mesh - truth, axis=-1)
    per_joint_pa = procrustes_error(from_mesh, truth)
    lifted_pa = procrustes_error(joints[:, J.H36M], truth)
    half = 1.96 * lifted_pa.mean(1).std() / np.sqrt(len(truth))
    out = {"MPJPE": per_joint.mean(), "PA-MPJPE": per_joint_pa.mean(), "lifter PA-MPJPE": lifted_pa.mean(),
           "lifter PA-MPJPE ±95%": half, "MPVPE": vertex.mean(), "PA-MPVPE": vertex_pa.mean(),
           "MPVPE without hands": vertex[:, ~hands].mean()}
    out = {k: round(float(v) * 1000, 1) for k, v in out.items()}
    out["per joint PA"] = {n: round(float(e) * 1000, 1) for n, e in zip(H36M17, per_joint_pa.mean(0))}
    return out


def real_views(network: Network, path: Path) -> dict[str, dict]:
    """Real OpenPose keypoints of four cameras against their triangulation: PA error over 12 limb joints, mm.

    "lifter": one frame at a time, PoseNet alone; "take": as the product solves a take, pulled and smoothed.
    """
    import cv2

    with np.load(path, allow_pickle=False) as z:
        data = {k: z[k] for k in z.files}
    names = [str(n) for n in data["names_body25b"]]
    feet = {"big_toe": "bigtoe", "small_toe": "smalltoe", "heel": "heel"}
    order = list(range(17)) + [names.index(f"{n[0]}_{feet[n.split('_', 1)[1]]}") for n in FEET6]
    limbs = [COCO17.index(n) for n in LIMBS]
    table = {}
    for view, (k, dist) in enumerate(zip(data["K"], data["dist"])):
        points = data["joints2d_px"][view][:, order].astype(np.float64)
        flat = cv2.undistortPoints(points[..., :2].reshape(-1, 1, 2), k, dist, P=k)
        points[..., :2] = flat.reshape(points[..., :2].shape)
        truth = (data["joints3d_world_m"][:, limbs] - data["center_m"][view]) @ data["R_w2c"][view].T
        good = data["valid"][:, limbs] & np.isfinite(truth).all(-1)
        rows = good.sum(1) >= 8
        motion = solve_motion(points, np.arange(len(points)) / float(data["fps"]), k, network, detector="other")
        solved = network.points(motion.joints, np.tile(motion.shape, (len(points), 1)))
        row: dict[str, float] = {"frames": int(rows.sum())}
        for name, joints in (("lifter", network.lift(points, k, definition=0.0).joints), ("take", solved)):
            found = J.detector_points(joints[rows], 0.6)[:, limbs]
            error = procrustes_error(found, np.nan_to_num(truth[rows]), good[rows].astype(float))
            row[name] = round(float(error[good[rows]].mean()) * 1000, 1)
        table[f"camera {view}"] = row
    table["mean"] = {n: round(float(np.mean([row[n] for row in table.values()])), 1) for n in ("lifter", "take")}
    return table


def markdown(results: dict) -> str:
    """The tables as Markdown."""
    lines = []
    if "held-out" in results:
        columns = ("MPJPE", "PA-MPJPE", "MPVPE", "PA-MPVPE", "MPVPE without hands", "lifter PA-MPJPE")
        lines += [f"Synthetic, held-out subjects, {results['samples']} poses; mm.", "",
                  "| input | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in results["held-out"].items():
            cells = [f"{row[c]:.1f}" for c in columns]
            if name.startswith("mesh"):
                cells[-1] = "–"
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines += ["", "PA error per joint, detector-like body23: " + ", ".join(
            f"{n.replace('_', ' ')} {e:.0f}" for n, e in
            results["held-out"]["detector-like, body23"]["per joint PA"].items()) + "."]
    if "real" in results:
        lines += ["", "Real OpenPose keypoints against a four-camera triangulation of the same keypoints (a man "
                  "balancing, 100 frames; bones there vary by 15–20 mm), PA over 12 limb joints, mm.", "",
                  "| | " + " | ".join(results["real"]) + " |", "|---" * (len(results["real"]) + 1) + "|"]
        for name, key in (("lifter, one frame at a time", "lifter"), ("whole take, as the product solves it", "take")):
            lines.append(f"| {name} | " + " | ".join(f"{row[key]:.1f}" for row in results["real"].values()) + " |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Returns the process's exit code."""
    args = parser().parse_args(argv)
    if not args.mocap and not args.real:
        parser().error("nothing to measure: give --mocap, --real or both")
    body, network, results = load_body(), _network(args.weights), {"samples": args.samples}
    if args.mocap:
        motion = load_motion(args.mocap, body, held_out=True)
        ridge = Ridge(body, load_motion(args.mocap, body, held_out=False)) if args.baseline else None
        results["held-out"] = held_out(network, body, motion, args.samples, ridge=ridge)
    if args.real:
        results["real"] = real_views(network, args.real)
    text = markdown(results)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if args.card:
        card = args.card.read_text(encoding="utf-8")
        before, rest = card.split(CARD_START)
        args.card.write_text(f"{before}{CARD_START}\n{text}{CARD_END}{rest.split(CARD_END)[1]}", encoding="utf-8")
    return 0


def _network(folder: Path | None) -> Network:
    return load_network("cpu") if folder is None else OnnxEngine("cpu", folder)
