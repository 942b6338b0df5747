"""The zip as a user gets it: same bytes twice, valid by Blender's rules, and working from the zip alone, offline."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import build_addon  # noqa: E402

# What Blender brings beside itself; the add-on has to work with these and its own wheels.
BLENDER_SHIPS = ("bpy", "numpy", "numpy.libs", "requests", "urllib3", "idna", "certifi", "charset_normalizer",
                 "zstandard", "cattr", "cattrs", "attr", "attrs", "typing_extensions.py")

# Runs before anything else in every interpreter of the isolated environment, worker processes included.
GUARD = """
import sys
def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        raise PermissionError("network use: %s %r" % (event, arguments[1:]))
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith({forbidden!r}):
        raise PermissionError("read from the checkout: " + arguments[0])
sys.addaudithook(guard)
"""

SCRIPT = """
import json, os, sys
import bpy, addon_utils
zip_path, clip, out, forbidden = sys.argv[1:]
module = "bl_ext.user_default.pose2mesh_blender"
done = bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True,
                                                overwrite=True)
result = {"install": sorted(done), "enabled": list(addon_utils.check(module))}
import onnxruntime, av
result["wheels"] = [onnxruntime.__file__, av.__file__]
before = len(bpy.data.objects)
result["animate"] = sorted(bpy.ops.pose2mesh.import_footage(filepath=clip, preset="fast", people=1, start=0, end=5))
people = [o for o in bpy.data.objects if o.type == "MESH" and o.data.shape_keys and len(o.data.vertices) == 6890]
result["people"] = [[len(o.data.vertices), len(o.data.polygons), len(o.data.shape_keys.key_blocks)] for o in people]
result["cameras"] = sum(o.type == "CAMERA" for o in bpy.data.objects)
heights = [max(v.co.z for v in o.data.vertices) - min(v.co.z for v in o.data.vertices) for o in people]
result["heights"] = heights
addon_utils.disable(module, default_set=True)
result["left_behind"] = hasattr(bpy.types.Scene, "pose2mesh")
try:
    open(forbidden)
except PermissionError as error:
    result["guarded"] = "read from the checkout" in str(error)
with open(out, "w") as file:
    json.dump(result, file)
"""


@pytest.fixture(scope="session")
def linux_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linux-x64 zip; its wheels are cached in the user's cache folder."""
    return build_addon.build("linux-x64", None, tmp_path_factory.mktemp("dist"), build_addon.cache_folder())


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what Blender ships and nothing else: no onnxruntime, no PyAV, no checkout, no network."""
    site = Path(sysconfig.get_paths()["purelib"])
    if not (site / "bpy").is_dir():
        pytest.skip("Blender's Python module is not installed here")
    folder = tmp_path_factory.mktemp("blender_python")
    venv.create(folder, with_pip=False, symlinks=True)
    target = next((folder / "lib").glob("python*")) / "site-packages"
    for name in BLENDER_SHIPS:
        if (site / name).exists():
            (target / name).symlink_to(site / name)
    forbidden = tuple(str(ROOT / name) + os.sep for name in ("pose2mesh_blender", "addon_models"))
    (target / "sitecustomize.py").write_text(GUARD.format(forbidden=forbidden))
    return folder / "bin" / "python"


def test_build_is_reproducible(linux_zip: Path, tmp_path: Path) -> None:
    again = build_addon.build("linux-x64", None, tmp_path, build_addon.cache_folder())
    assert again.name == linux_zip.name
    assert build_addon.sha256(again) == build_addon.sha256(linux_zip)


def test_zip_holds_what_it_should(linux_zip: Path) -> None:
    with zipfile.ZipFile(linux_zip) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        index = json.loads(archive.read("addon_models/index.json"))
    assert names == sorted(names)
    assert {"__init__.py", "LICENSE", "core/errors.py", "addon_models/NOTICE"} <= set(names)
    assert not [n for n in names if n.startswith("training/") or "__pycache__" in n or n.endswith(".pyc")]
    assert set(manifest["wheels"]) == {f"./{n}" for n in names if n.startswith("wheels/")}
    assert not [n for n in names if re.search(r"wheels/(numpy|opencv|torch)", n)], "Blender has numpy"
    assets = {f"addon_models/{asset['file']}" for asset in index["assets"]}
    assert {name for name in assets if not name.endswith(build_addon.TORCH_WEIGHTS)} <= set(names)
    assert manifest["platforms"] == ["linux-x64"]
    assert list(manifest["permissions"]) == ["files"], "no network permission"
    assert linux_zip.stat().st_size < 155e6


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    lock = tomllib.loads((ROOT / "wheels.toml").read_text())
    assert manifest["version"] == project["version"]
    for requirement in lock["platforms"]["linux-x64"]["requirements"]:
        assert requirement in project["dependencies"], "the zip runs what the tests test"


@pytest.mark.parametrize("platform", ["linux-x64", "windows-x64", "macos-arm64", "macos-x64"])
def test_every_platform_is_locked(platform: str) -> None:
    lock = tomllib.loads((ROOT / "wheels.toml").read_text())
    spec = lock["platforms"][platform]
    for python in spec["pythons"]:
        for requirement in spec["requirements"]:
            assert [w for w in lock["wheels"] if w["platform"] == platform and w["requirement"] == requirement
                    and python in w["pythons"] and len(w["sha256"]) == 64], (platform, python, requirement)


def test_wrong_wheel_is_refused(tmp_path: Path) -> None:
    lock = tomllib.loads((ROOT / "wheels.toml").read_text())
    wheel = next(w for w in lock["wheels"] if w["platform"] == "linux-x64" and w["requirement"].startswith("av"))
    folder = tmp_path / f"{wheel['requirement'].replace('==', '-')}-manylinux_2_28_x86_64-{wheel['pythons'][0]}"
    folder.mkdir()
    (folder / wheel["file"]).write_bytes(b"not this wheel")
    with pytest.raises(SystemExit, match=re.escape(wheel["file"])):
        build_addon.locked_wheels(lock, "linux-x64", ["3.11"], tmp_path)


def test_blender_accepts_the_zip(linux_zip: Path) -> None:
    if build_addon.blender_checker() is None:
        pytest.skip("Blender's Python module is not installed here")
    build_addon.blender_validates(linux_zip)


def test_works_from_the_zip_alone(linux_zip: Path, bare_python: Path, demo_clip: Path, tmp_path: Path) -> None:
    """Install, enable and animate in an empty Blender that has no network and cannot read the checkout."""
    user, work = tmp_path / "user", tmp_path / "work with spaces"
    user.mkdir()
    work.mkdir()
    clip = work / demo_clip.name
    clip.write_bytes(demo_clip.read_bytes())
    environment = {"BLENDER_USER_RESOURCES": str(user), "PATH": os.defpath, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    done = subprocess.run([bare_python, "-I", "-c", SCRIPT, linux_zip, clip, work / "result.json",
                           ROOT / "addon_models" / "index.json"], cwd=work, env=environment, capture_output=True,
                          text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads((work / "result.json").read_text())
    assert result["install"] == ["FINISHED"]
    assert result["enabled"] == [True, True]
    assert all(path.startswith(str(user / "extensions")) for path in result["wheels"]), result["wheels"]
    assert result["animate"] == ["FINISHED"], done.stdout[-3000:]
    assert len(result["people"]) == 1, result
    vertices, faces, keys = result["people"][0]
    assert (vertices, faces) == (6890, 13776)
    assert keys >= 6
    assert result["cameras"] >= 1
    assert not result["left_behind"]
    assert result["guarded"], "the guard against reading the checkout must be at work"
    assert 1.2 < max(result["heights"]) < 2.3, "a person of a person's height, upright"
