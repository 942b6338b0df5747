"""What our detectors do to true keypoints, in numbers: where they put a joint, how far and how long they are off.

    python -m pose2mesh_blender.training.detector_residuals pairs/train.npz --json residuals.json

Reads pairs of `detections.py` (a joined file, or the folder of finished parts) and prints tables for a sampler of
synthetic detections. Lengths are shares of the person's size: the longer side of the box round the 23 true keypoints.
"""
from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.body import load_body
from ..core.camera import project
from ..core.network import joints as J
from ..core.placement import unit
from ..core.skeletons import BODY23, BODY23_FLIP
from .detections import load

LEFT = np.array([j for j, name in enumerate(BODY23) if not name.startswith("right")])  # nose and the left side
JOINTS = [BODY23[j].removeprefix("left_") for j in LEFT]
PAIRS = np.array([(j, BODY23_FLIP[j]) for j in range(1, 17) if j < BODY23_FLIP[j]])  # eyes, ears, shoulders, ... ankles
FACE, ARMS, LEGS = [0, 1], [3, 4], [6, 7]  # rows of PAIRS: eyes and ears; elbows, wrists; knees, ankles
APART = .05  # closer joints of a pair cannot be told to be swapped
WILD = .07  # a detection this far off is somewhere else
MISREAD = .4  # share of the visible limb joints that are wild in a frame whose pose was misread
SEEN = .02  # confidence from which a keypoint counts as given
GROUPS = {"face": [0, 1, 2, 3, 4], "shoulders": [5, 6], "elbows, wrists": [7, 8, 9, 10], "hips": [11, 12],
          "knees, ankles": [13, 14, 15, 16], "feet": [17, 19, 20, 22]}
LAGS = (1, 2, 4, 8, 16)


@dataclass
class Pairs:
    """S sequences of T frames."""

    found: np.ndarray  # (S, T, 23, 3) pixels and confidence, NaN where absent
    truth: np.ndarray  # (S, T, 23, 2) pixels
    points: np.ndarray  # (S, T, 71, 3) camera space, metres
    size: np.ndarray  # (S, T) pixels
    focal: np.ndarray  # (S,)
    visible: np.ndarray  # (S, T, 23)
    inside: np.ndarray  # (S, T, 23) in the picture
    fps: float

    @property
    def given(self) -> np.ndarray:
        """(S, T, 23): the detector says something."""
        return np.isfinite(self.found[..., 0]) & (self.found[..., 2] > SEEN)


def load_pairs(path: Path, preset: str = "accurate") -> Pairs:
    """path: FILE.npz, or the folder with its parts."""
    body = load_body()
    if path.is_dir():
        parts = [load(file, body) for file in sorted(path.glob("*.npz"))]
        z = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    else:
        z = load(path, body)
    truth = np.stack([project(p[:, J.BODY].astype(np.float64), k) for p, k in zip(z["points"], z["intrinsics"])])
    inside = ((truth >= 0) & (truth < z["image_size"][:, None, None])).all(-1)
    return Pairs(z[preset].astype(np.float64), truth, z["points"].astype(np.float64), np.ptp(truth, 2).max(2),
                 z["intrinsics"][:, 0, 0], z["visible"], inside, 1 / float(np.diff(z["timestamps"]).mean()))


# -- sides ------------------------------------------------------------------------------------------------------------
def swaps(p: Pairs) -> dict[str, np.ndarray]:
    """Per frame (S, T) bool: `whole`, `legs`, `arms` swapped (the last two only where not the whole body is), and
    `known`: enough pairs are apart to tell. `pairs` (S, T, 8): each pair of PAIRS, NaN where it cannot be told."""
    a, b = PAIRS.T
    straight = _length(p.found[..., a, :2] - p.truth[..., a, :]) + _length(p.found[..., b, :2] - p.truth[..., b, :])
    crossed = _length(p.found[..., a, :2] - p.truth[..., b, :]) + _length(p.found[..., b, :2] - p.truth[..., a, :])
    apart = _length(p.truth[..., a, :] - p.truth[..., b, :]) > APART * p.size[..., None]
    tell = apart & p.given[..., a] & p.given[..., b] & p.inside[..., a] & p.inside[..., b]
    pairs = np.where(tell, crossed < .6 * straight, np.nan)
    limbs = pairs[..., 2:]
    count = np.isfinite(limbs).sum(2)
    whole = (count >= 3) & (np.nansum(limbs, 2) >= .7 * np.maximum(count, 1))
    out = {"pairs": pairs, "known": count >= 3, "whole": whole}
    for name, rows in (("legs", LEGS), ("arms", ARMS)):
        told = np.isfinite(pairs[..., rows])
        out[name] = ~whole & told.any(2) & (np.nansum(pairs[..., rows], 2) >= told.sum(2))
        out[f"{name}_known"] = told.any(2)
    return out


def unswapped(p: Pairs, s: dict[str, np.ndarray]) -> np.ndarray:
    """`found` with the sides put right."""
    out = p.found.copy()
    for where, rows in ((s["whole"], np.arange(23)), (s["legs"], np.r_[13:23]), (s["arms"], np.r_[7:11])):
        frames = np.nonzero(where)
        block = out[frames]
        block[:, rows] = block[:, BODY23_FLIP[rows]]
        out[frames] = block
    return out


def facing(points: np.ndarray) -> np.ndarray:
    """Degrees (...) between where the trunk faces and the direction to the camera: 0 from the front, 180 the back."""
    left, up = (points[..., a, :] - points[..., b, :] for a, b in ((33, 34), (26, 17)))  # shoulders; spine3 - pelvis
    front = unit(np.cross(left, up))
    return np.degrees(np.arccos(np.clip(-(front * unit(points[..., 0, :])).sum(-1), -1, 1)))


# -- where a joint is put ---------------------------------------------------------------------------------------------
def fit_bias(p: Pairs, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres (23, 3) outward, up, front from the true joint to where the detector puts it, both sides alike, fitted
    to what is visible and near; and the residuals (S, T, 23, 2) in shares of the size that remain."""
    z = p.points[..., J.BODY, :]
    lens = np.zeros((*z.shape[:-1], 2, 3))
    lens[..., 0, 0] = lens[..., 1, 1] = 1
    lens[..., :, 2] = -z[..., :2] / z[..., 2:]
    lens *= (p.focal[:, None, None] / z[..., 2] / p.size[..., None])[..., None, None]
    design = lens @ J.keypoint_axes(p.points)
    residual = (found[..., :2] - p.truth) / p.size[..., None, None]
    good = p.given & p.visible & (_length(residual) < .15)
    bias = np.zeros((23, 3))
    for j in LEFT:
        both = sorted({j, BODY23_FLIP[j]})
        keep = good[..., both]
        if keep.sum() < 50:
            continue
        a, r = design[..., both, :, :][keep], residual[..., both, :][keep]
        if j == 0:
            a[..., 0] = 0  # the nose is in the middle
        b = np.zeros(3)
        for _ in range(15):
            weight = 1 / (1 + (_length(r - a @ b) / .02) ** 2)
            normal = np.einsum("n,nij,nik->jk", weight, a, a) + 1e-4 * weight.sum() * np.eye(3)
            b = np.linalg.solve(normal, np.einsum("n,nij,ni->j", weight, a, r))
        bias[both] = b
    return bias, residual - (design @ bias[..., None])[..., 0]


# -- how far off ------------------------------------------------------------------------------------------------------
def fit_mixture(r: np.ndarray) -> dict[str, float]:
    """Residuals (N, 2) -> `sigma` per axis of the usual ones, `far` share and `sigma_far` of the others (EM)."""
    square = (r ** 2).sum(1)
    near, far, share = np.median(square) / 1.386, np.quantile(square, .97) / 2, .05
    for _ in range(60):
        a = (1 - share) / near * np.exp(-square / near / 2)
        b = share / far * np.exp(-square / far / 2)
        w = b / (a + b + 1e-300)
        share = float(w.mean())
        near, far = ((1 - w) @ square / (1 - w).sum() / 2, w @ square / max(w.sum(), 1e-9) / 2)
    return {"count": len(r), "sigma": float(np.sqrt(near)), "far": share, "sigma_far": float(np.sqrt(far)),
            "median": float(np.sqrt(np.median(square))), "wild": float((square > WILD ** 2).mean())}


def memory(r: np.ndarray, keep: np.ndarray, fps: float) -> dict[str, float]:
    """r (S, T, K, 2), keep (S, T, K): autocorrelation at LAGS, split into `constant` over a sequence, `slow` with a
    time of `seconds`, and the rest `quick` (shares of the variance)."""
    r = np.where(keep[..., None], r, 0)
    variance = max((r ** 2).sum() / keep.sum(), 1e-12)
    every = np.arange(1, min(18, r.shape[1]))
    rho = np.array([(r[:, k:] * r[:, :-k]).sum() / max((keep[:, k:] & keep[:, :-k]).sum(), 1) for k in every])
    rho /= variance
    best = (np.inf, 0.0, 0.0, 0.0)
    for seconds in np.geomspace(.02, .6, 40):
        a = np.stack([np.exp(-every / fps / seconds), np.ones(len(every))], 1)
        x = np.clip(np.linalg.lstsq(a, rho, rcond=None)[0], 0, 1)
        error = float(((a @ x - rho) ** 2).sum())
        if error < best[0]:
            best = (error, float(seconds), float(x[0]), float(x[1]))
    return {**{f"lag{k}": float(rho[k - 1]) for k in LAGS if k <= len(rho)}, "slow": best[2], "seconds": best[1],
            "constant": best[3], "quick": max(0.0, 1 - best[2] - best[3])}


def episodes(state: np.ndarray, known: np.ndarray, fps: float) -> dict[str, float]:
    """state, known (S, T, ...) bool: share of the time, and how long it lasts on average (from the rate of leaving it,
    so that sequences shorter than an episode do no harm)."""
    both = known[:, 1:] & known[:, :-1]
    inside = state[:, :-1] & both
    leave = (inside & ~state[:, 1:]).sum() / max(inside.sum(), 1)
    return {"share": float(state[known].mean()) if known.any() else 0.0, "count": int(state[known].sum()),
            "seconds": float(1 / fps / max(leave, 1e-3))}


def statistics(p: Pairs) -> dict:
    """Everything, ready for JSON."""
    s = swaps(p)
    found = unswapped(p, s)
    bias, rest = fit_bias(p, found)
    off = _length(rest)
    given = np.isfinite(found[..., 0]) & (found[..., 2] > SEEN)
    there = np.isfinite(p.found[..., 0]).any(2)
    hidden = p.inside & ~p.visible
    out: dict = {"sequences": len(p.found), "frames": int(p.size.size), "fps": p.fps,
                 "not_found": float(1 - there.mean())}
    usual, wild = given & (off < WILD), given & (off >= WILD)
    limbs = (given & p.visible)[..., 5:17]
    known = limbs.sum(2) >= 4
    misread = known & ((wild[..., 5:17] & limbs).sum(2) >= MISREAD * limbs.sum(2))
    out["misread"] = {**episodes(misread, known, p.fps), "confidence": _mean(found[..., :17, 2][misread]),
                      "confidence_else": _mean(found[..., :17, 2][known & ~misread])}
    other_side = _length(found[..., :2] - p.truth[..., BODY23_FLIP, :]) < .04 * p.size[..., None]
    out["joints"] = {}
    for name, j in zip(JOINTS, LEFT):
        both = sorted({int(j), int(BODY23_FLIP[j])})
        row: dict = {"bias_m": [round(float(v), 4) for v in bias[j]]}
        for label, where in (("visible", p.visible), ("hidden", hidden)):
            keep = (given & where)[..., both]
            asked = (where & there[..., None])[..., both]
            if keep.sum() > 50:
                alone = keep & (known & ~misread)[..., None]
                off_alone = alone & wild[..., both]
                row[label] = {**fit_mixture(rest[..., both, :][keep]), "absent": float(1 - keep.sum() / asked.sum()),
                              "wild_alone": float(off_alone.sum() / max(alone.sum(), 1)),
                              "on_other_side": _mean(other_side[..., both][off_alone].astype(float)),
                              "confidence": _spread(found[..., both, 2][keep])}
        out["joints"][name] = row
    view = facing(p.points)
    views = {"front": view < 60, "side": (view >= 60) & (view < 120), "back": view >= 120}
    out["swaps"] = {}
    for name in ("whole", "legs", "arms"):
        known = s["known" if name == "whole" else f"{name}_known"]
        out["swaps"][name] = {**episodes(s[name], known, p.fps),
                              **{v: float(s[name][known & where].mean()) for v, where in views.items()}}
    out["swaps"]["whole"]["face_swapped_too"] = _mean(s["pairs"][..., FACE][s["whole"]])
    out["swaps"]["pairs"] = {JOINTS[1 + i]: _mean(s["pairs"][..., i]) for i in range(8)}
    out["memory"], out["wild"], out["confidence"] = {}, {}, {}
    for name, rows in GROUPS.items():
        for label, where in (("visible", p.visible), ("hidden", hidden)):
            w = where[..., rows]
            if (usual[..., rows] & w).sum() > 500:
                out["memory"][f"{name}, {label}"] = memory(rest[..., rows, :], usual[..., rows] & w, p.fps)
            out["wild"][f"{name}, {label}"] = episodes(wild[..., rows] & w, given[..., rows] & w, p.fps)
            for kind, chosen in (("usual", usual), ("wild", wild)):
                values = found[..., rows, 2][chosen[..., rows] & w]
                if len(values) > 30:
                    out["confidence"][f"{name}, {label}, {kind}"] = _spread(values)
        values = found[..., rows, 2][(~p.inside & p.given)[..., rows]]
        if len(values) > 30:
            out["confidence"][f"{name}, outside the picture"] = _spread(values)
    out["together"] = _together(rest, usual & p.visible)
    out["confidence_parts"] = _confidence_parts(found[..., 2], usual & p.visible, p.fps)
    out["feet_absent"] = episodes(~given[..., [17, 20]], np.repeat(there[..., None], 2, 2), p.fps)
    return out


def _together(rest: np.ndarray, keep: np.ndarray) -> dict[str, float]:
    """Correlations between joints of one frame, and how the spread differs between sequences."""
    def correlation(a: int, b: int) -> float:
        both = keep[..., a] & keep[..., b]
        x, y = rest[..., a, :][both], rest[..., b, :][both]
        return float((x * y).sum() / np.sqrt((x ** 2).sum() * (y ** 2).sum())) if len(x) > 50 else float("nan")

    def mean(pairs: list[tuple[int, int]]) -> float:
        return _mean(np.array([correlation(a, b) for a, b in pairs]))

    body = range(5, 17)
    kept = np.where(keep[..., None], rest, np.nan)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # nothing is seen in some sequences
        squared = np.nanmean(kept ** 2 / np.nanmean(kept ** 2, (0, 1, 3), keepdims=True), (1, 2, 3))
    quality = np.log(np.sqrt(squared[np.isfinite(squared)]))
    return {"within the face": mean([(a, b) for a in range(5) for b in range(a)]), "hip and hip": mean([(11, 12)]),
            "shoulder and shoulder": mean([(5, 6)]), "shoulder and hip": mean([(5, 11), (6, 12)]),
            "shoulder and elbow": mean([(5, 7), (6, 8)]), "elbow and wrist": mean([(7, 9), (8, 10)]),
            "hip and knee": mean([(11, 13), (12, 14)]), "knee and ankle": mean([(13, 15), (14, 16)]),
            "toe and heel": mean([(17, 19), (20, 22)]), "ankle and heel": mean([(15, 19), (16, 22)]),
            "any two of the body": mean([(a, b) for a in body for b in body if a < b]),
            "log spread between sequences": float(quality.std())}


def _confidence_parts(c: np.ndarray, keep: np.ndarray, fps: float) -> dict[str, float]:
    """How the scores of usual, visible joints vary: about each joint's mean, per sequence, frame and joint."""
    mean = np.array([c[..., j][keep[..., j]].mean() if keep[..., j].any() else np.nan for j in range(23)])
    d = np.where(keep, c - mean, np.nan)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # nothing is seen in some frames
        sequence = np.nanmean(d, (1, 2))
        frame = np.nanmean(d - sequence[:, None, None], 2)
    rest = d - sequence[:, None, None] - frame[..., None]
    kept = np.isfinite(rest)
    return {"of sequences": float(np.nanstd(sequence)), "of frames in a sequence": float(np.nanstd(frame)),
            "of joints in a frame": float(np.nanstd(rest)),
            **{f"joint {k}": v for k, v in memory(np.stack([np.nan_to_num(rest), 0 * c], -1), kept, fps).items()}}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, (.1, .5, .9))
    return {"mean": float(values.mean()), "std": float(values.std()), "p10": float(low), "p50": float(middle),
            "p90": float(high)}


def _length(v: np.ndarray) -> np.ndarray:
    return np.sqrt((v ** 2).sum(-1))


# -- text -------------------------------------------------------------------------------------------------------------
def report(s: dict) -> str:
    """Markdown tables of `statistics`."""
    lines = [f"{s['frames']} frames in {s['sequences']} sequences at {s['fps']:.0f} fps; person not found in "
             f"{s['not_found']:.1%} of the frames.", "",
             "| joint | bias outward / up / front, mm | σ visible | far: share, σ | wild | alone | absent | confidence "
             "| σ hidden | far: share, σ | wild | alone | absent | confidence |", "|---" * 14 + "|"]
    for name, row in s["joints"].items():
        cells = [name, " / ".join(f"{1000 * v:.0f}" for v in row["bias_m"])]
        for label in ("visible", "hidden"):
            v = row.get(label)
            cells += (["–"] * 6 if v is None else
                      [f"{v['sigma']:.4f}", f"{v['far']:.2f}, {v['sigma_far']:.3f}", f"{v['wild']:.1%}",
                       f"{v['wild_alone']:.1%} ({v['on_other_side']:.0%})", f"{v['absent']:.1%}",
                       f"{v['confidence']['mean']:.2f} ± {v['confidence']['std']:.2f}"])
        lines.append(f"| {' | '.join(cells)} |")
    m = s["misread"]
    lines += ["", "Wild: over 7 % off. Alone: the same outside frames whose pose was misread; in brackets how many of "
              "these lie on the other side's joint.", "",
              f"The pose is misread (over {MISREAD:.0%} of the visible limb joints wild) in {m['share']:.1%} of the "
              f"frames, for {m['seconds']:.2f} s; mean confidence then {m['confidence']:.2f}, else "
              f"{m['confidence_else']:.2f}.", "",
              "| swapped sides | share | front | side | back | seconds |", "|---|---|---|---|---|---|"]
    for name in ("whole", "legs", "arms"):
        v = s["swaps"][name]
        lines.append(f"| {name} | {v['share']:.1%} | {v['front']:.1%} | {v['side']:.1%} | {v['back']:.1%} "
                     f"| {v['seconds']:.2f} |")
    lines += ["", f"The face is swapped too in {s['swaps']['whole']['face_swapped_too']:.0%} of the whole-body swaps "
              "where it can be told. Pair by pair: "
              + ", ".join(f"{k} {v:.1%}" for k, v in s["swaps"]["pairs"].items()) + ".", "",
              "| autocorrelation | " + " | ".join(f"lag {k}" for k in LAGS) + " | quick | slow | seconds | constant |",
              "|---" * (len(LAGS) + 5) + "|"]
    for name, v in s["memory"].items():
        lines.append(f"| {name} | " + " | ".join(f"{v.get(f'lag{k}', float('nan')):.2f}" for k in LAGS)
                     + f" | {v['quick']:.2f} | {v['slow']:.2f} | {v['seconds']:.2f} | {v['constant']:.2f} |")
    lines += ["", "| wild (over 7 %) | share | seconds |", "|---|---|---|"]
    lines += [f"| {k} | {v['share']:.1%} | {v['seconds']:.2f} |" for k, v in s["wild"].items()]
    lines += ["", "| confidence | mean | std | p10 | p50 | p90 |", "|---|---|---|---|---|---|"]
    lines += [f"| {k} | " + " | ".join(f"{v[n]:.2f}" for n in ("mean", "std", "p10", "p50", "p90")) + " |"
              for k, v in s["confidence"].items()]
    lines += ["", "| together | |", "|---|---|"]
    lines += [f"| {k} | {v:.2f} |" for k, v in s["together"].items()]
    lines += [f"| confidence, {k} | {v:.2f} |" for k, v in s["confidence_parts"].items()]
    feet = s["feet_absent"]
    lines += [f"| feet absent, share | {feet['share']:.2f} |", f"| feet absent, seconds | {feet['seconds']:.2f} |"]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Returns the process's exit code."""
    p = argparse.ArgumentParser(prog="python -m pose2mesh_blender.training.detector_residuals", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pairs", type=Path, help="FILE.npz of training.detections, or its folder of parts")
    p.add_argument("--preset", choices=("accurate", "fast"), default="accurate")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    args = p.parse_args(argv)
    found = statistics(load_pairs(args.pairs, args.preset))
    print(report(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
