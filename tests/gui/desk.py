"""A real Blender window to test in: Debian's Blender in a folder of its own, on a virtual screen, with a pointer and a
keyboard. Linux, root; needs debootstrap, Xvfb, xdotool and ImageMagick."""
from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
SIZE = (1600, 900)
TOOLS = ("debootstrap", "Xvfb", "xdotool", "import", "convert")
PACKAGES = ("blender python3-numpy python3-zstandard python3-requests python3-cattr libgl1-mesa-dri libegl1 "
            "libegl-mesa0 libgl1 mesa-vulkan-drivers").split()


class Failure(Exception):
    """What a user would have seen go wrong."""


class Desk:
    """root: the folder that Debian sid is in; made (2 GB) where it is missing, and kept."""

    def __init__(self, root: Path, pictures: Path) -> None:
        self.root, self.home, self.pictures = root, root / "home/artist", pictures
        self.display = f":{random.randint(70, 89)}"
        self._processes: list[subprocess.Popen] = []
        self._numbers = itertools.count()

    # -- what it stands on --------------------------------------------------------------------------------------------
    def set_up(self) -> None:
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if missing:
            raise SystemExit(f"{', '.join(missing)} missing: apt install debootstrap xvfb xdotool imagemagick")
        fresh = not (self.root / "usr/bin/blender").exists()
        if fresh:
            _run("debootstrap", "--variant=minbase", "--include=ca-certificates", "sid", self.root)
            for part in Path("/etc/apt/apt.conf.d").glob("99*"):  # the host's way to the archive
                shutil.copy(part, self.root / "etc/apt/apt.conf.d")
        for kind, folder in (("proc", "proc"), ("", "dev"), ("sysfs", "sys")):
            if not os.path.ismount(self.root / folder):
                how = ["-t", kind, kind] if kind else ["--bind", f"/{folder}"]
                _run("mount", *how, self.root / folder)
        if fresh:
            _run("chroot", self.root, "apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)

    def unmount(self) -> None:
        for folder in ("proc", "dev", "sys"):
            if os.path.ismount(self.root / folder):
                _run("umount", self.root / folder)

    def remove(self) -> None:
        """Takes everything away again."""
        self.unmount()  # before the removal: dev is the machine's own
        _run("rm", "-rf", "--one-file-system", self.root)

    def move_in(self, addon: Path, *files: Path) -> None:
        """A user who has never started Blender, without settings and cache, with some files; installs the zip."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        for file in files:
            shutil.copy(file, self.home)
        shutil.copy(addon, self.home / "pose2mesh.zip")
        self._inside("blender", "--command", "extension", "install-file", "-r", "user_default", "-e",
                     "/home/artist/pose2mesh.zip")
        self._inside("blender", "-b", "--python-expr",
                     "import bpy; bpy.context.preferences.view.show_splash=False; bpy.ops.wm.save_userpref()")

    def _inside(self, *command: str) -> None:
        _run("chroot", self.root, *self._environment(), *command)

    def _environment(self) -> list[str]:
        return ["env", "-i", "HOME=/home/artist", "LANG=C.UTF-8", "PATH=/usr/bin:/bin", f"DISPLAY={self.display}",
                "LIBGL_ALWAYS_SOFTWARE=1"]

    # -- the window ---------------------------------------------------------------------------------------------------
    def start(self, script: Path) -> None:
        shutil.copy(script, self.home)
        os.environ["DISPLAY"] = self.display
        self._processes.append(subprocess.Popen(
            ["Xvfb", self.display, "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "+extension", "GLX", "+render",
             "-noreset"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(2)
        with (self.home / "blender.log").open("w") as log:
            self._processes.append(subprocess.Popen(
                ["chroot", self.root, *self._environment(), "blender", "--window-geometry", "0", "0", *map(str, SIZE),
                 "--no-window-focus", "-P", f"/home/artist/{script.name}"], stdout=log, stderr=log))

    @property
    def running(self) -> bool:
        return bool(self._processes) and self._processes[-1].poll() is None

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._processes.clear()
        self.unmount()

    def ask(self, name: str, *arguments: Any, timeout: float = 60) -> Any:
        """What a function of inside.py answers."""
        file = self.home / "talk" / f"{next(self._numbers):05d}.ask"
        end = time.monotonic() + timeout + (60 if not file.parent.exists() else 0)
        while not file.parent.exists() and time.monotonic() < end:
            time.sleep(0.5)
        part = file.with_suffix(".part")
        part.write_text(json.dumps([name, *arguments]))
        part.rename(file)
        answer = file.with_suffix(".answer")
        while not answer.exists():
            if not self.running:
                raise Failure(f"Blender ended with {self._processes[-1].returncode}:\n{self.log(20)}")
            if time.monotonic() > end:
                raise Failure(f"Blender does not answer {name!r}:\n{self.log(20)}")
            time.sleep(0.02)
        found = json.loads(answer.read_text())
        answer.unlink()
        if "error" in found:
            raise Failure(found["error"])
        return found["answer"]

    def log(self, lines: int) -> str:
        return "\n".join((self.home / "blender.log").read_text(errors="replace").splitlines()[-lines:])

    def until(self, what: str, holds: Callable[[dict], Any], timeout: float = 60, pause: float = 0.3) -> dict:
        """Waits until what `state` answers holds, and returns it."""
        end = time.monotonic() + timeout
        while not holds(found := self.ask("state")):
            if time.monotonic() > end:
                raise Failure(f"Not within {timeout:.0f} s: {what}. {found}\n{self.log(20)}")
            time.sleep(pause)
        return found

    # -- hands and eyes -----------------------------------------------------------------------------------------------
    def settle(self, most: float = 120) -> None:
        """Until everything is drawn and Blender rests: shaders are compiled late, and software OpenGL is slow."""
        end = time.monotonic() + most
        for _ in range(2):
            number = self.ask("draw")
            while self.ask("drawn") < number and time.monotonic() < end:
                time.sleep(0.2)
            before = self._ticks()
            time.sleep(1.5)
            while self._ticks() - before > 15 and time.monotonic() < end:
                before = self._ticks()
                time.sleep(1.5)

    def move(self, x: float, y: float) -> None:
        _run("xdotool", "mousemove", str(round(x)), str(round(y)))

    def click(self, x: float, y: float, count: int = 1) -> None:
        """Where a user would point, in pixels from the top left of the window."""
        self.move(x, y)
        time.sleep(1)
        self.move(x + 1, y)  # a button is awake only when the pointer moved over it
        time.sleep(1)
        _run("xdotool", "click", "--repeat", str(count), "--delay", "120", "1")
        time.sleep(1.5)

    def press(self, *keys: str) -> None:
        for key in keys:
            _run("xdotool", "key", key)
            time.sleep(0.5)

    def type(self, text: str) -> None:
        _run("xdotool", "type", "--delay", "40", text)
        time.sleep(0.5)

    def shoot(self, name: str, crop: tuple[float, float, float, float] | None = None) -> Path:
        """A picture of the window, or of a box in it: left, top, width, height."""
        path = self.pictures / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _run("import", "-window", "root", path)
        if crop:
            left, top, width, height = map(round, crop)
            _run("convert", path, "-crop", f"{width}x{height}+{left}+{top}", "+repage", path)
        return path

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self._processes[-1].pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
