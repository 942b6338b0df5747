"""The shipped network: right way up, right way round, independent of the camera, the same on every engine."""
import numpy as np
import pytest
from people import INTRINSICS, keypoints_of, walk

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.errors import DeviceError
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.network.engine import Network, load_network
from pose2mesh_blender.core.skeletons import BODY23_FLIP

AT = np.array([.2, -.1, 4.0])


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("cpu")


def solve(network: Network, keypoints: np.ndarray, **kw) -> np.ndarray:
    lift = network.lift(keypoints, INTRINSICS, **kw)
    return network.mesh(lift.joints, lift.shape).vertices


@pytest.mark.parametrize("yaw", [0, np.pi / 2, np.pi, -np.pi / 2, .8])
def test_walkers_from_every_side(network: Network, yaw: float) -> None:
    vertices, _ = walk(30, yaw)
    found = solve(network, keypoints_of(vertices, np.tile(AT, (30, 1))))
    body = embedded_body()
    truth, joints = body.regress("h36m17", vertices), body.regress("h36m17", found)
    assert np.linalg.norm(truth - joints, axis=-1).mean() < .12
    assert np.linalg.norm(found - vertices, axis=-1).mean() < .14
    assert (joints[:, 10, 1] < joints[:, 0, 1] - .3).all(), "head above the pelvis (y points down)"
    across, true_across = joints[:, 11] - joints[:, 14], truth[:, 11] - truth[:, 14]
    assert ((across * true_across).sum(-1) > 0).mean() > .9, "left stays left"


def test_root_is_the_pelvis(network: Network) -> None:
    vertices, _ = walk(4)
    found = solve(network, keypoints_of(vertices, np.tile(AT, (4, 1))))
    assert np.abs(embedded_body().regress("h36m17", found)[:, 0]).max() < 1e-4


def test_image_scale_and_position_do_not_matter(network: Network) -> None:
    keypoints = keypoints_of(walk(5)[0], np.tile(AT, (5, 1)))
    first = network.lift(keypoints, INTRINSICS).joints
    bigger = keypoints * [2, 2, 1]
    np.testing.assert_allclose(network.lift(bigger, np.diag([2, 2, 1]) @ INTRINSICS).joints, first, atol=1e-4)
    shifted, camera = keypoints + np.array([300, -70, 0]), INTRINSICS.copy()
    camera[:2, 2] += (300, -70)
    np.testing.assert_allclose(network.lift(shifted, camera).joints, first, atol=1e-4)


def test_turning_the_camera_turns_the_person(network: Network) -> None:
    """Perspective survives: at the edge of the frame a person is solved as in the middle."""
    from people import turn

    vertices, _ = walk(10, .4)
    middle = solve(network, keypoints_of(vertices, np.tile([0, 0, 4.0], (10, 1))))
    r = turn("y", .3)
    edge = solve(network, keypoints_of(vertices @ r.T, np.tile(r @ [0, 0, 4.0], (10, 1))))
    assert np.linalg.norm(edge - middle @ r.T, axis=-1).mean() < .01


def test_mirrored_keypoints_give_the_mirrored_person(network: Network) -> None:
    keypoints = keypoints_of(walk(10, .5)[0], np.tile(AT, (10, 1)))
    mirrored = keypoints[:, BODY23_FLIP].copy()
    mirrored[..., 0] = 2 * INTRINSICS[0, 2] - mirrored[..., 0]
    joints, flipped = network.lift(keypoints, INTRINSICS).joints, network.lift(mirrored, INTRINSICS).joints
    assert np.linalg.norm(flipped[:, J.FLIP] * [-1, 1, 1] - joints, axis=-1).mean() < .05


@pytest.mark.parametrize("absent", [range(17, 23), range(11, 23), (7, 9), range(5)],
                         ids=["feet", "legs", "arm", "face"])
def test_missing_joints(network: Network, absent) -> None:
    vertices, _ = walk(10, .3)
    keypoints = keypoints_of(vertices, np.tile(AT, (10, 1)))
    keypoints[:, list(absent)] = (np.nan, np.nan, 0)
    found = solve(network, keypoints)
    assert np.isfinite(found).all()
    trunk = embedded_body().weights[:, [0, 3, 6, 9]].sum(1) > .9
    assert np.linalg.norm((found - vertices)[:, trunk], axis=-1).mean() < .15


def test_surface_is_clean(network: Network) -> None:
    """No spikes: edges keep about the length they have on the unposed body."""
    lift = network.lift(keypoints_of(walk(8, .6)[0], np.tile(AT, (8, 1))), INTRINSICS)
    mesh = network.mesh(lift.joints, lift.shape)
    body = embedded_body()
    edges = body.faces[:, :2]
    rest, _ = body.rest(mesh.shape[0])
    before = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=-1)
    after = np.linalg.norm(mesh.vertices[:, edges[:, 0]] - mesh.vertices[:, edges[:, 1]], axis=-1)
    ratio = after / before
    assert .93 < np.median(ratio) < 1.07
    assert np.percentile(ratio, 99) < 1.8 and np.percentile(ratio, 1) > .45


def test_torch_gives_the_same(network: Network) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from pose2mesh_blender.core.network.torch_engine import TorchEngine

    other = TorchEngine("cpu")
    keypoints = keypoints_of(walk(6)[0], np.tile(AT, (6, 1)))
    a, b = network.lift(keypoints, INTRINSICS), other.lift(keypoints, INTRINSICS)
    np.testing.assert_allclose(a.joints, b.joints, atol=1e-4)
    seconds = np.arange(6) / 25
    a, b = (n.lift_take(keypoints, seconds, INTRINSICS) for n in (network, other))
    np.testing.assert_allclose(a.joints, b.joints, atol=1e-4)
    m, n = network.mesh(a.joints, a.shape), other.mesh(b.joints, b.shape)
    np.testing.assert_allclose(m.vertices, n.vertices, atol=1e-4)
    np.testing.assert_allclose(m.rotations, n.rotations, atol=1e-3)


def test_torch_keeps_to_one_device() -> None:
    """Every operator of both networks, on a device that needs no hardware: a GPU would refuse tensors of the CPU."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from pose2mesh_blender.core.assets import asset_path
    from pose2mesh_blender.core.network.engine import WEIGHTS
    from pose2mesh_blender.core.network.torch_engine import read_weights

    class OneDevice(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
            assert len({t.device.type for t in tensors if t.dim()}) <= 1, operator
            return operator(*args, **kwargs or {})

    posenet, temporal, meshnet = (part.to("meta") for part in read_weights(asset_path(WEIGHTS)))
    joints, shape, known, path, times = (torch.zeros(2, *size, device="meta")
                                         for size in ((71, 3), (16,), (1,), (7, 3), (7,)))
    with torch.no_grad(), OneDevice():
        lifted = posenet(torch.zeros(14, 71, device="meta"))
        temporal(*(part.view(2, 7, *part.shape[1:]) for part in (lifted[2], *lifted[:2])), path, times)
        meshnet(joints, shape, known)


def test_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="auto"):
        load_network("abacus")
