"""The paper's ablation: every design learns, and is measured alike."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from pose2mesh_blender.core.body import Body, embedded_body
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.training import ablation, fit_template
from pose2mesh_blender.training.ablation import DESIGNS, Pool, Step, step_bytes
from pose2mesh_blender.training.pyramid import new_meshnet
from pose2mesh_blender.training.synthetic import Motion, axis_angle_to_matrix


@pytest.fixture(scope="module")
def body() -> Body:
    return embedded_body()


@pytest.fixture(scope="module")
def motion() -> Motion:
    rng = np.random.default_rng(0)
    local = axis_angle_to_matrix((rng.normal(size=(60, 24, 3)) * .25).astype(np.float32))
    return Motion(local, np.repeat([0, 1, 2], 20), np.arange(60))


@pytest.fixture(scope="module")
def pool(body: Body, motion: Motion) -> Pool:
    return Pool(body, motion, load_network("cpu"), 60)


@pytest.mark.parametrize("name", list(DESIGNS))
def test_every_design_makes_a_body_and_learns(body: Body, pool: Pool, name: str,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "BATCH", 4)
    torch.manual_seed(0)
    net = new_meshnet(body)
    model = DESIGNS[name].build(body, net)
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(np.random.default_rng(0).normal(size=(2, 71, 3)).astype(np.float32) * .3))
    assert found.vertices.shape == (2, 6890, 3) and torch.isfinite(found.vertices).all()
    assert (found.rotations is None) == (DESIGNS[name].target == "vertices")
    batch = pool.batch(np.random.default_rng(0))
    monkeypatch.setattr(pool, "batch", lambda rng: batch)
    step, losses = Step(body, pool, net.skin, 0), []
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(5):
        loss = step(model)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < .97 * losses[0]
    unused = [key for key, p in model.named_parameters() if p.grad is None]
    assert not unused, f"nothing teaches {unused}"


def test_coarse_to_fine_needs_less_memory_and_weights_than_direct(body: Body, pool: Pool,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "BATCH", 4)
    net = new_meshnet(body)
    held, weights = {}, {}
    for name in ("vertices, graph, direct", "vertices, graph, coarse to fine"):
        model = DESIGNS[name].build(body, net)
        held[name] = step_bytes(model, Step(body, pool, net.skin, 0))
        weights[name] = sum(p.numel() for p in model.parameters())
        assert held[name] > 16 * weights[name]
    direct, fine = held
    assert held[fine] < .5 * held[direct] and weights[fine] < .5 * weights[direct]


def test_the_table(body: Body, motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_template, "SAMPLES", 300)
    names = ["rotations, connected", "ours"]
    results = ablation.measure(body, load_network("cpu"), motion, motion, .01, tmp_path, names, pool=60, per_clip=2)
    assert json.loads(json.dumps(results)) == results and results["clips"] == 3
    for name in names:
        row = results["designs"][name]
        assert row["steps"] >= 1 and row["fps"] > 0 and row["memory MB"] > row["parameters"] * 4e-6
        for kind in ("lifted", "true"):
            e = row[kind]
            assert 0 < e["PA-MPJPE"] < e["MPJPE"] < 1000 and 0 < e["MPVPE"] < 1000 and e["MPVPE ±"] > 0
    assert results["designs"]["ours"]["true"]["MPVPE"] < results["designs"]["rotations, connected"]["true"]["MPVPE"]
    table = ablation.markdown(results)
    assert "| rotations | fully connected |" in table and "| rotations, then vertices | graph |" in table
    again = ablation.measure(body, load_network("cpu"), motion, motion, .01, tmp_path, names[:1], pool=60, per_clip=2)
    assert again["designs"][names[0]]["lifted"] == results["designs"][names[0]]["lifted"], "a finished run is kept"
