"""What a 2D detector makes of true keypoints over time: noise, wild guesses, left-right errors, drop-outs, scores.

The numbers are those of the bundled detectors on rendered, dressed bodies (`detector_residuals.py` measures them).
Shares of the person's size are shares of the longer side of the box round the true keypoints.
"""
from __future__ import annotations

import numpy as np

from ..core.skeletons import BODY23, BODY23_FLIP

# Per kind of joint: noise visible, hidden (shares of the size); share of wild guesses visible, hidden; score visible,
# hidden, of a wild guess visible, hidden; share of time that it is hidden without a limb in front (clothes, the head).
_KINDS = {
    "nose": (.012, .032, .02, .08, .59, .50, .37, .35, .05),
    "eye": (.012, .027, .02, .04, .59, .50, .37, .35, .05),
    "ear": (.012, .022, .02, .02, .59, .50, .37, .35, .30),
    "shoulder": (.016, .028, .03, .13, .73, .66, .48, .60, .02),
    "elbow": (.013, .033, .05, .27, .65, .47, .30, .27, .05),
    "wrist": (.012, .060, .07, .59, .60, .38, .30, .27, .12),
    "hip": (.020, .031, .04, .10, .74, .69, .49, .51, .15),
    "knee": (.016, .024, .06, .23, .70, .55, .29, .31, .10),
    "ankle": (.0105, .017, .08, .31, .70, .55, .29, .31, .08),
    "big_toe": (.021, .028, .08, .15, .71, .66, .49, .38, .11),
    "small_toe": (.021, .028, .08, .15, .71, .66, .49, .38, .11),
    "heel": (.018, .019, .06, .07, .71, .66, .49, .38, .11),
}
(SIGMA, SIGMA_HIDDEN, WILD, WILD_HIDDEN, SCORE, SCORE_HIDDEN, SCORE_WILD, SCORE_WILD_HIDDEN, COVERED) = np.array(
    [_KINDS[n.removeprefix("left_").removeprefix("right_")] for n in BODY23]).T
# How hard a take is to detect, 0 .. HARDEST: everyday footage below 1, camouflage and acrobatics above.
HARDEST = 1.9
SLOW, SLOW_MEMORY, CONSTANT = .45, .2, .35  # shares of the noise's variance that last for seconds, or for the take
WILD_SPREAD, WILD_TIME, OTHER_SIDE = .14, .12, .2  # of the size; seconds; share that lies on the other side's joint
MISREAD, MISREAD_SPREAD, MISREAD_TIME = .12, .12, .08  # frames in which the whole pose is wrong, in hard takes
SWAP_TIME, COVER_TIME, ABSENT_TIME, LOST_TIME = .06, .3, .14, .3  # seconds
SWAP_FRONT, SWAP_BACK, SWAP_LEGS, SWAP_ARMS = .002, .08, .025, .016  # share of time
SWAP_TAKE = .07  # share of takes in which whoever turns the back is taken to face the camera
LEGS, ARMS, FACE = range(11, 23), range(5, 11), range(5)


def _mixture() -> np.ndarray:
    """(23, 23) rows of unit length: errors that go together (both hips; ankle with heel; the face)."""
    mix = np.eye(23)
    for joint, source, share in ((12, 11, .95), (19, 15, .7), (22, 16, .7), (17, 15, .4), (20, 16, .4), (18, 17, .7),
                                 (21, 20, .7), *((j, 0, .74) for j in range(1, 5))):
        mix[joint] = share * mix[source] + np.sqrt(1 - share * share) * np.eye(23)[joint]
    return mix


MIX = _mixture().astype(np.float32)


def detect(rays: np.ndarray, occluded: np.ndarray, bundled: np.ndarray, times: np.ndarray, rng: np.random.Generator,
           hardest: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """rays (G, T, 23, 2) true keypoints; occluded (G, T, 23) bool: behind a limb; bundled (G,) bool: our own detectors'
    scores; times (G, T) seconds; hardest: None = all footage, 1 = everyday footage. Returns noisy rays and confidence
    (G, T, 23), 0 = absent."""
    g, t = times.shape
    step = np.diff(times[:, :2], axis=1)[:, 0] if t > 1 else np.full(g, 1.0)
    hard = rng.random((g, 1, 1))
    hard = HARDEST * hard ** 1.6 if hardest is None else hardest * hard
    size = np.ptp(rays, axis=2).max(2)[..., None, None]
    facing = np.clip((rays[..., 5, 0] - rays[..., 6, 0]) / (.2 * size[..., 0, 0]), -1, 1)  # 1 from the front, -1 behind
    occluded = occluded | episodes(rng, np.broadcast_to(COVERED, (g, t, 23)), step, COVER_TIME)
    occluded[..., :3] |= facing[..., None] < 0
    sigma = np.where(occluded, SIGMA_HIDDEN, SIGMA) * np.exp(rng.normal(0, .25, (g, 1, 1))) * (.7 + .3 * hard)
    noise = MIX @ (np.sqrt(1 - SLOW - CONSTANT) * rng.normal(size=(g, t, 23, 2)).astype(np.float32)
                   + np.sqrt(SLOW) * lasting(rng, (g, t, 23, 2), step, SLOW_MEMORY)
                   + np.sqrt(CONSTANT) * rng.normal(size=(g, 1, 23, 2)).astype(np.float32))
    astray_share = np.where(occluded, WILD_HIDDEN * (.6 + .4 * hard), WILD * hard)
    wild = episodes(rng, np.minimum(astray_share, .9), step, WILD_TIME)
    misread = episodes(rng, np.broadcast_to(MISREAD * np.maximum(hard[..., 0] - .9, 0) * 2, (g, t)), step, MISREAD_TIME)
    off = noise * sigma[..., None] * size
    astray = lasting(rng, (g, t, 23, 2), step, SLOW_MEMORY) * WILD_SPREAD * size
    astray = np.where(rng.random((g, 1, 23, 1)) < OTHER_SIDE, rays[:, :, BODY23_FLIP] - rays + off, astray)
    out = rays + np.where(wild[..., None], astray, off)
    out += misread[..., None, None] * (lasting(rng, (g, t, 23, 2), step, SLOW_MEMORY) * MISREAD_SPREAD * size)
    confidence = np.where(wild, np.where(occluded, SCORE_WILD_HIDDEN, SCORE_WILD),
                          np.where(occluded, SCORE_HIDDEN, SCORE)) * np.where(misread, .65, 1)[..., None]
    unsure = (.07 * lasting(rng, (g, t, 23), step, .16) + .08 * rng.normal(size=(g, t, 23))
              + .07 * rng.normal(size=(g, 1, 23)) + .06 * rng.normal(size=(g, t, 1)) + .08 * rng.normal(size=(g, 1, 1))
              + .1 * (1 - hard))
    confidence = confidence * np.where(bundled, 1.0, 1.25)[:, None, None] + unsure
    confidence = np.clip(confidence, .05, 1)
    _swap_sides(out, confidence, facing, step, rng)
    _leave_out(confidence, out, size, bundled, hard, step, rng)
    return out.astype(np.float32), confidence.astype(np.float32)


def _swap_sides(rays: np.ndarray, confidence: np.ndarray, facing: np.ndarray, step: np.ndarray,
                rng: np.random.Generator) -> None:
    """Left taken for right, for a frame or two or as long as somebody turns the back; in place."""
    g, t = facing.shape
    eager = rng.choice([.5, 1.0, 2.5], (g, 1))
    whole = eager * (SWAP_FRONT + (SWAP_BACK - SWAP_FRONT) * np.clip((.6 - facing) / 1.6, 0, 1))
    face = np.broadcast_to(rng.random((g, 1)) < .6, (g, t))
    chosen = episodes(rng, whole, step, SWAP_TIME) ^ ((rng.random((g, 1)) < SWAP_TAKE) & (facing < -.1))
    for joints, swapped in (([*ARMS, *LEGS], chosen), (FACE, chosen & face),
                            (LEGS, episodes(rng, np.full((g, t), SWAP_LEGS), step, SWAP_TIME)),
                            (ARMS, episodes(rng, SWAP_ARMS * np.clip(1.2 - facing, .3, 2), step, SWAP_TIME))):
        rows, left_right = np.nonzero(swapped), np.array(joints)
        sides = BODY23_FLIP[left_right]
        a, c = rays[rows], confidence[rows]
        a[:, left_right], c[:, left_right] = a[:, sides], c[:, sides]
        rays[rows], confidence[rows] = a, c


def _leave_out(confidence: np.ndarray, rays: np.ndarray, size: np.ndarray, bundled: np.ndarray, hard: np.ndarray,
               step: np.ndarray, rng: np.random.Generator) -> None:
    """Joints that a detector does not have, that leave the picture, or that are lost for a while; in place."""
    g, t = confidence.shape[:2]
    guessed = (rng.random(g) < .5)[:, None, None]  # MoveNet answers for joints outside the picture, too
    for axis, chance, least in ((1, .12, .3), (0, .04, .5)):
        x = rays[..., axis]
        low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
        edge = np.where(rng.random((g, 1, 1)) < chance, rng.uniform(least, 1, (g, 1, 1)), 2)
        outside = x > low + edge * (high - low)
        rays += (outside & guessed)[..., None] * (.08 * size * rng.normal(size=rays.shape))
        confidence[:] = np.where(outside, np.where(guessed, rng.uniform(.05, .6, confidence.shape), 0), confidence)
    confidence[np.flatnonzero(rng.random(g) < .35), :, 17:] = 0
    confidence[np.ix_(np.flatnonzero(bundled | (rng.random(g) < .2)), range(t), [18, 21])] = 0
    confidence[np.flatnonzero(rng.random(g) < .05), :, :5] = 0
    rate = np.zeros((g, 1, 23))
    rate[..., 17:] = .12 * np.square(hard)
    rate += np.where(rng.random(g) < .25, rng.uniform(.03, .35, g), 0)[:, None, None]
    always = rng.random((g, 1, 23)) < np.where(np.arange(23) < 17, rate / 2, 0)
    confidence[always | episodes(rng, np.broadcast_to(rate * .7, (g, t, 23)), step, ABSENT_TIME)] = 0
    few = (confidence > 0).sum(2) < 4
    confidence[few, :17] = np.maximum(confidence[few, :17], .3)
    if t > 1:
        lost = np.where(rng.random(g) < .3, rng.uniform(.02, .15, g), 0) + .3 * np.maximum(hard[:, 0, 0] - 1.2, 0)
        confidence[episodes(rng, np.broadcast_to(lost[:, None], (g, t)), step, LOST_TIME)] = 0


def lasting(rng: np.random.Generator, shape: tuple[int, ...], step: np.ndarray, memory: float) -> np.ndarray:
    """(G, T, ...) unit normal noise that forgets itself over `memory` seconds (Ornstein-Uhlenbeck)."""
    out = rng.standard_normal(shape, np.float32)
    keep = np.exp(-step / memory).reshape(-1, *[1] * (len(shape) - 2)).astype(np.float32)
    fresh = np.sqrt(1 - keep * keep)
    for i in range(1, shape[1]):
        out[:, i] = keep * out[:, i - 1] + fresh * out[:, i]
    return out


def episodes(rng: np.random.Generator, share: np.ndarray, step: np.ndarray, duration: float) -> np.ndarray:
    """share (G, T, ...) of time -> bool: a two-state process that is on for `duration` seconds at a time."""
    on = np.empty(share.shape, bool)
    chance = rng.random(share.shape, np.float32)
    on[:, 0] = chance[:, 0] < share[:, 0]
    leave = np.minimum(step / duration, 1).reshape(-1, *[1] * (share.ndim - 2))
    for i in range(1, share.shape[1]):
        p = share[:, i]
        enter = np.minimum(leave * p / np.maximum(1 - p, 1e-6), 1)
        on[:, i] = np.where(on[:, i - 1], chance[:, i] >= leave, chance[:, i] < enter)
    return on
