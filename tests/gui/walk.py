"""A user's way through the add-on in a real Blender window, with pointer and keyboard: install the zip, open a video,
Animate, stop, go on, drag a marker, see the mesh follow, undo, export. A screenshot per step; Failure where something
is not as it should be.

    python build_addon.py --platform linux-x64 --python 3.14 && python tests/gui/walk.py [--pictures docs/images]

Linux, root, 2 GB for the folder that Debian's Blender is in (ROOT, default /tmp/pose2mesh-gui; kept; --remove takes it
away), some ten minutes. --pictures also writes the pictures of README and guide.
"""
from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from desk import CHECKOUT, Desk, Failure

DEMO = CHECKOUT / "tests/data/demo/demo.mp4"
FRAMES = 100  # of the demo clip
FRAME, TRACK = 51, "Left Wrist"  # the marker that is dragged
LEFT_ARM, LEGS = (18, 20, 22), (4, 5, 7, 8, 10, 11)  # of SMPL's parts: from the elbow; from the knees
PANELS = ("Footage", "Detect", "People", "Keypoints", "Solve", "Mesh and Texture", "Export")

# Where things are in our tab, in pixels below the top of the sidebar, with all sub-panels closed.
FIELD, ANIMATE, HEADERS, HEADER = 46, 79, 163, 26
MATCH, EDIT, LIVE, EXPORT = 228, 55, 83, 113  # in the open sub-panel, below its header
CURRENT = (1001, 830)  # the timeline's frame


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=CHECKOUT / "out/gui", help="folder for the screenshots")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of README and guide")
    parser.add_argument("--remove", action="store_true", help="take Debian's Blender away")
    options = parser.parse_args()
    desk = Desk(Path(os.environ.get("ROOT", "/tmp/pose2mesh-gui")), options.out)
    if options.remove:
        desk.remove()
        return
    zips = sorted((CHECKOUT / "dist").glob("pose2mesh_blender-*-linux-x64-py314.zip"), key=os.path.getmtime)
    if not zips:
        sys.exit("No zip: python build_addon.py --platform linux-x64 --python 3.14")
    try:
        desk.set_up()
        desk.move_in(zips[-1], DEMO)
        desk.start(Path(__file__).with_name("inside.py"))
        Walk(desk).whole()
        if options.pictures:
            pictures(options.out, options.pictures)
    except Failure as failure:
        if desk.running:
            desk.shoot("failed")
        sys.exit(f"{failure}\nScreenshots: {options.out}")
    finally:
        desk.close()
    print(f"Screenshots: {options.out}")


class Walk:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.left, self.top = desk, 0, 0

    def whole(self) -> None:
        for step in (self.first_look, self.open_footage, self.stop, self.go_on, self.look, self.panels,
                     self.open_keypoints, self.drag, self.undo, self.export):
            began = time.monotonic()
            said = step()
            print(f"{step.__name__.replace('_', ' ')} ({time.monotonic() - began:.0f} s) {said or ''}", flush=True)

    def first_look(self) -> None:
        end = time.monotonic() + 300
        while not (box := self.desk.ask("tab", timeout=200)):
            expect(time.monotonic() < end, "the sidebar has no Pose2Mesh tab")
            time.sleep(1)
        self.left, self.top = box[:2]
        self.desk.settle()
        self.desk.shoot("01-empty")
        self._over_view()
        self.desk.press("Delete")  # the default cube stands where the person will: away with it, as every user does
        self.desk.until("the cube is gone", lambda now: "Cube" not in now["objects"])

    def open_footage(self) -> None:
        self._click(120, FIELD, 2)  # a double click opens the field for typing
        self.desk.press("ctrl+a")
        self.desk.type("/home/artist/demo.mp4")
        self.desk.press("Return")
        self.desk.until("the footage is chosen", lambda now: now["footage"] == "/home/artist/demo.mp4")
        self.desk.settle()
        self.desk.shoot("02-ready")

    def stop(self) -> str:
        """Animate, and Esc after a fifth of the frames: what is done is shown, and the panel says how to go on."""
        self._click(144, ANIMATE)
        self.desk.until("people are being found", lambda now: now["job"] and now["job"]["stage"] == "detect"
                        and now["job"]["done"] >= FRAMES // 5, 600)
        self.desk.shoot("03-running")
        self._over_view()
        self.desk.press("Escape")
        now = self.desk.until("it stopped", lambda now: not now["job"], 300)
        self.desk.settle()
        self.desk.shoot("04-stopped")
        expect(now["people"] == 2, "the frames that are done are shown", now)
        expect(FRAMES // 5 <= now["done"] == now["detected"] < FRAMES, "only some frames are done", now)
        self.stopped = now
        return now["message"]

    def go_on(self) -> str:
        seen = []

        def finished(now: dict) -> bool:
            if now["job"] and now["job"]["stage"] == "detect" and now["job"]["done"]:
                seen.append(now["job"]["done"])
            return not now["job"] and now.get("done") == FRAMES

        self._click(144, ANIMATE)
        now = self.desk.until("all frames are done", finished, 900)
        expect(now["takes"] == self.stopped["takes"] and now["people"] == 2, "it went on in the same take", now)
        expect(min(seen, default=0) > self.stopped["detected"], "detection went on where it was", seen)
        self.desk.settle()
        self.desk.shoot("05-finished")
        return now["message"]

    def look(self) -> None:
        """Match Scene to Footage, and a frame in the middle."""
        self._header("Footage")
        self._click(144, self._place("Footage") + MATCH)
        self.desk.until("the scene has the footage's rate", lambda now: now["fps"] == 60)
        self._header("Footage")
        self._over_view()
        self.desk.press("Home")  # the camera's picture fills the view
        self.desk.press("alt+a")  # nothing selected, so no outlines
        self._go_to(60)
        now = self.desk.ask("state")
        expect(now["view"] == "CAMERA", "the view is the camera's", now)
        self.desk.settle()
        self.desk.shoot("06-result")

    def panels(self) -> None:
        """A picture of each sub-panel."""
        for number, name in enumerate(PANELS):
            self._header(name)
            self.desk.settle()
            _, _, width, height = self.desk.ask("tab")
            self.desk.shoot(f"07-{number}-{name.split()[0].lower()}", (self.left, self.top, width, height))
            self._header(name)

    def open_keypoints(self) -> None:
        self._go_to(FRAME)
        self._header("Keypoints")
        here = self._place("Keypoints")
        self._click(120, here + EDIT)
        self.desk.settle()
        expect("CLIP_EDITOR" in self.desk.ask("areas"), "Edit Keypoints opens a clip editor")
        self._click(120, here + LIVE)
        self.desk.until("live re-solve is on and rests", lambda now: now["live"] and now["rest"], 120)
        self.desk.settle()
        self.desk.shoot("08-keypoints")
        self.desk.ask("remember")

    def drag(self) -> str:
        """G, ten steps of the pointer, click. Where the mesh moved, and how soon."""
        x, y = self.desk.ask("marker", TRACK, FRAME)["at"]
        self.desk.click(x, y)
        self.desk.ask("watch", TRACK, FRAME)
        time.sleep(1)
        self.desk.press("g")
        for step in range(1, 11):
            count = len([1 for what, *_ in self.desk.ask("watched") if what == "mesh"])
            self.desk.move(x + 1 + 4 * step, y - 3 * step)
            end = time.monotonic() + 30
            while len([1 for what, *_ in self.desk.ask("watched") if what == "mesh"]) == count:
                expect(time.monotonic() < end, "the mesh follows the pointer")
                time.sleep(0.05)
        self.desk.shoot("09-dragging")
        subprocess.run(["xdotool", "click", "1"], check=True)
        self.desk.until("the neighbours are solved", lambda now: now["rest"], 120)
        log = self.desk.ask("watched")
        self.desk.ask("unwatch")
        self.desk.settle()
        self.desk.shoot("10-dragged")
        timing = delays(log)
        expect(self.desk.ask("marker", TRACK, FRAME)["keyed"], "the marker is remembered as set by hand")
        one, other = sorted(self.desk.ask("changed").items())
        expect(not other[1]["frames"], "the other person is untouched", other[1]["frames"])
        frames, parts = one[1]["frames"], one[1]["parts"]
        expect(FRAME in frames, "the frame's mesh has changed", frames)
        here = parts[frames.index(FRAME)]
        expect(max(here[p] for p in LEFT_ARM) > 30, "the arm went along", here)
        expect(max(here[p] for p in LEGS) < 0.2 * max(here), "the legs hardly did", here)
        far = [max(p) for frame, p in zip(frames, parts) if abs(frame - FRAME) > 30]
        expect(max(far, default=0) < 0.1 * max(here), "half a second away hardly anything is seen of it", far)
        return (f"{len(frames)} frames changed ({frames[0]} to {frames[-1]}), the hand by {max(here):.0f} mm. "
                + timing)

    def undo(self) -> str:
        self._over_clip()
        self.desk.press("ctrl+z")
        self.desk.until("the marker is back", lambda _: not self.desk.ask("marker", TRACK, FRAME)["keyed"], 120)
        self.desk.until("everything is solved", lambda now: now["rest"], 120)
        self.desk.settle()
        self.desk.shoot("11-undone")
        off = max(((max(p), frame, p.index(max(p))) for one in self.desk.ask("changed").values()
                   for frame, p in zip(one["frames"], one["parts"])), default=(0.0, 0, 0))
        expect(off[0] < 5, "the mesh is back", off)
        return f"the mesh is within {off[0]:.1f} mm of where it was (frame {off[1]}, part {off[2]})"

    def export(self) -> str:
        self._click(120, self._place("Keypoints") + LIVE)
        self._header("Keypoints")
        self._header("Export")
        self._click(144, self._place("Export") + EXPORT)
        self.desk.settle()
        self.desk.shoot("12-export")
        browser = next((w for w in self.desk.ask("windows") if "FILE_BROWSER" in w[4]), None)
        expect(browser, "a file browser is open")
        self.desk.press("Return")
        end = time.monotonic() + 120
        while not (files := list(self.desk.home.rglob("*.fbx"))):
            expect(time.monotonic() < end, "a file was written")
            time.sleep(1)
        size, before = files[0].stat().st_size, -1
        while size != before:
            before = size
            time.sleep(2)
            size = files[0].stat().st_size
        self.desk.settle()
        self.desk.shoot("13-exported")
        expect(size > 100_000 and files[0].read_bytes()[:18] == b"Kaydara FBX Binary", "it is an FBX", files)
        return f"{files[0].name}, {size / 1e6:.1f} MB"

    # -- where to point ----------------------------------------------------------------------------------------------
    def _place(self, panel: str) -> int:
        return HEADERS + HEADER * PANELS.index(panel)

    def _header(self, panel: str) -> None:
        """Opens or closes a sub-panel; the others are closed."""
        self._click(60, self._place(panel))

    def _click(self, right: int, down: int, count: int = 1) -> None:
        self.desk.click(self.left + right, self.top + down, count)

    def _over_view(self) -> None:
        self.desk.move(self.left - 120, self.top + 420)
        time.sleep(1)

    def _over_clip(self) -> None:
        left, top, width, height = self.desk.ask("areas")["CLIP_EDITOR"]["WINDOW"]
        self.desk.move(left + width / 2, top + height - 60)
        time.sleep(1)

    def _go_to(self, frame: int) -> None:
        self.desk.click(*CURRENT, count=2)
        self.desk.press("ctrl+a")
        self.desk.type(str(frame))
        self.desk.press("Return")
        self.desk.until(f"frame {frame}", lambda now: now["frame"] == frame)


def expect(holds: object, what: str, found: object = "") -> None:
    if not holds:
        raise Failure(f"Not so: {what}. {found}")


def delays(log: list) -> str:
    """Of each step of the pointer: from the marker's new place to the new mesh of its frame."""
    steps = [(key, mesh) for key, mesh in itertools.pairwise(log) if (key[0], mesh[0]) == ("key", "mesh")]
    wall, blender, worker = (statistics.median(1e3 * (mesh[i] - key[i]) for key, mesh in steps) for i in (1, 2, 3))
    return (f"From marker to mesh, median of {len(steps)}: {wall:.0f} ms; of processor, {blender:.0f} ms in Blender's "
            f"main thread, {worker:.0f} ms in the worker")


def pictures(shots: Path, folder: Path) -> None:
    """Those of README and guide, light."""
    folder.mkdir(parents=True, exist_ok=True)
    panel, border = ["-crop", "292x300+1021+81", "+repage"], ["-bordercolor", "white", "-border", "4"]
    columns = [f"{shots}/07-{n}-{name}.png" for n, name in enumerate(n.split()[0].lower() for n in PANELS)]
    for name, *arguments in (
            ("blender", f"{shots}/06-result.png", "-resize", "1100x"),
            ("guide_animate", *[part for shot in ("02-ready", "03-running", "04-stopped") for part in
                                ("(", f"{shots}/{shot}.png", *panel, *border, ")")], "+append"),
            ("guide_panels", *[part for shot in (columns[i] for i in (0, 2, 3, 4, 5, 6)) for part in
                               ("(", shot, "-crop", "x560+0+0", "+repage", *border, ")")], "+append"),
            ("guide_keypoints", f"{shots}/10-dragged.png", "-crop", "1314x790+0+26", "+repage", "-resize", "1100x")):
        path = folder / f"{name}.png"
        subprocess.run(["convert", *arguments, "-strip", "+dither", "-colors", "128", f"PNG8:{path}"], check=True)
        print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
