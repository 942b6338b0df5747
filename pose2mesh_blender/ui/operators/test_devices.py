"""pose2mesh.test_devices: which devices work here, and how fast."""
from __future__ import annotations

from pathlib import Path

import bpy

from .. import jobs, preferences
from ..properties import Result
from ..text import label, say


class Test(jobs.Job):
    """Everything once on every device; results go to the preferences."""

    pausable = False

    def __init__(self, devices: list[str], settings: dict) -> None:
        super().__init__([Path()], Path(), settings, lambda folder: "")
        self.devices = devices
        preferences.tested.clear()

    def start(self) -> None:
        self._next()

    def heard(self, event: dict) -> None:
        preferences.tested.append({k: v for k, v in event.items() if k != "event"})

    def stop(self) -> None:
        self.stopping += 1
        jobs.client().cancel()

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total)

    @property
    def text(self) -> str:
        return label("Testing {}", next((d[1] for d in preferences.DEVICES if d[0] == self._now), self._now))

    @property
    def _now(self) -> str:
        return self.devices[min(len(preferences.tested), len(self.devices) - 1)]

    def summary(self) -> str:
        good = [r for r in preferences.tested if not r["message"]]
        if not good:
            return say("No device works. Install the add-on again") if self.made else ""
        best = min(good, key=lambda r: r["detect_ms"] + r["mesh_ms"])
        name = next(d[1] for d in preferences.DEVICES if d[0] == best["device"])
        return say("{} devices work; {} is the fastest", len(good), name)

    def _folder(self, source: Path) -> Path:
        return source

    def _request(self, folder: Path) -> dict:
        return {"cmd": "test", "devices": self.devices, "settings": self.settings}


class POSE2MESH_OT_test_devices(jobs.WorkerOperator, bpy.types.Operator):
    """Run the networks once on every device, and say how fast each is"""

    bl_idname = "pose2mesh.test_devices"
    bl_label = "Test Devices"
    bl_options = {"INTERNAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        names = [d[0] for d in preferences.DEVICES if d[0] != "auto"]
        return self.begin(context, lambda: Test(names, preferences.engine(context)), modal)
