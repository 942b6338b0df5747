"""Long work without freezing Blender: requests to the worker process, one job at a time, driven by a timer.

Operators inherit `WorkerOperator`. Nothing here keeps references to Blender's data between ticks: an undo or another
file may replace it.
"""
from __future__ import annotations

import atexit
import hashlib
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..core.errors import Pose2MeshError
from ..core.take import Take
from ..core.worker import WorkerClient
from ..scene import takes
from ..scene.fresh import look_through
from .preferences import cache_folder, device
from .properties import Result, settings_of

STAGES = {"open": "Opening", "detect": "Finding people", "solve": "Lifting to 3D", "mesh": "Shaping meshes"}
SHARE = {"open": (0.0, 0.02), "detect": (0.02, 0.8), "solve": (0.8, 0.85), "mesh": (0.85, 1.0)}  # of the progress bar

current: Job | None = None
last_message: tuple[str, str] = ("", "")  # (level, text) of the job before, for the panel
_client: WorkerClient | None = None
_in_window: Callable[[], None] | None = None  # takes timer and status text away
before_start: list[Callable[[], None]] = []  # what else holds takes lets them go


def client() -> WorkerClient:
    """The worker process's client; it is started on first use and stays warm."""
    global _client
    if _client is None:
        _client = WorkerClient()
        atexit.register(_client.terminate)  # a Python that ends with the worker's pipes open hangs
    return _client


def shut_down() -> None:
    """End the worker and forget the job; the timer and the status bar of a running one go too."""
    global _client, current, last_message
    ending, _client, current, last_message = _client, None, None, ("", "")
    try:
        _put_away()
    finally:
        if ending:
            ending.terminate()
            atexit.unregister(ending.terminate)


@dataclass
class Job:
    """Footage to animate, one after the other. Each finished take goes to `arrived(folder) -> message`."""

    sources: list[Path]
    cache: Path
    settings: dict
    arrived: Callable[[Path], str]
    number: int = -1
    folder: Path = Path()
    stage: str = "open"
    done: int = 0
    total: int = 1
    stopping: int = 0  # how often the user asked to stop: once keeps what is done, twice drops it
    retried: bool = False
    over: bool = False
    made: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        self._next()

    def step(self) -> None:
        """Read what the worker said since the last call."""
        for event in client().poll():
            if event["event"] == "progress":
                self.stage, self.done, self.total = event["stage"], event["done"], max(1, event["total"])
            elif event["event"] == "done":
                self._arrive()
            elif event["event"] == "cancelled":
                self.over = True
            elif event["event"] == "error":
                self._fail(event)
            if self.over:
                break

    def stop(self) -> None:
        """Ask to stop: the first time finished frames are still made into meshes."""
        self.stopping += 1
        client().cancel(keep=self.stopping == 1)

    @property
    def fraction(self) -> float:
        low, high = SHARE.get(self.stage, (0.0, 1.0))
        here = low + (high - low) * min(1.0, self.done / self.total)
        return (max(0, self.number) + here) / len(self.sources)

    @property
    def text(self) -> str:
        stage = STAGES.get(self.stage, self.stage)
        if self.stage in ("detect", "mesh"):
            stage = f"{stage} {self.done}/{self.total}"
        return stage if len(self.sources) == 1 else f"{self.number + 1} of {len(self.sources)}: {stage}"

    def summary(self) -> str:
        """How it went, apart from what failed."""
        if not self.made:
            return "Stopped before a frame was finished. The scene is unchanged" if self.stopping else ""
        ending = "Stopped. Animate again to go on" if self.stopping else "Press Space to play, or export it"
        if len(self.sources) == 1:
            return f"Animated {'; '.join(self.made)}. {ending}"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"Animated {len(self.made)} of {len(self.sources)}{failed}. {ending}"

    def _next(self) -> None:
        self.number += 1
        self.over = self.number >= len(self.sources) or self.stopping > 0
        if not self.over:
            self.retried = False
            self._send(self.cache / take_name(self.sources[self.number], self.settings))

    def _send(self, folder: Path) -> None:
        self.folder, self.stage, self.done, self.total = folder, "open", 0, 1
        try:
            client().start()
        except OSError as error:
            raise Pose2MeshError(f"Blender's Python cannot be started ({error.strerror or error}).",
                                 "Close other programs, or install Blender again.") from error
        client().send({"cmd": "animate", "input": str(self.sources[self.number]), "take": str(folder),
                       "settings": self.settings})

    def _arrive(self) -> None:
        try:
            self.made.append(self.arrived(self.folder))
        except Pose2MeshError as error:
            self.failed.append(str(error))
        self._next()

    def _fail(self, event: dict) -> None:
        if event.get("kind") == "UnusableTakeError" and not self.retried:
            self.retried = True  # the cache is ours: what cannot be continued is begun anew
            shutil.rmtree(self.folder, ignore_errors=True)
            gone = not self.folder.exists()
            self._send(self.folder if gone else self.folder.with_name(f"{self.folder.name}-{uuid.uuid4().hex[:6]}"))
            return
        if "details" in event:
            print(event["details"])  # a bug: the console shows where
        self.failed.append(event["message"])
        self._next()


def take_name(source: Path, settings: dict) -> str:
    """The same footage with the same detection settings has the same folder, so stopped work goes on there."""
    try:
        facts = source.stat()
        state = f"{facts.st_size} {facts.st_mtime_ns}"
    except OSError:
        state = ""
    key = [str(source), state, *(str(settings[k]) for k in ("preset", "start", "end", "step"))]
    return f"{source.stem[:40]}-{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:10]}"


class WorkerOperator(bpy.types.Operator if TYPE_CHECKING else object):  # type: ignore[misc]
    """Base of operators that animate footage: modal in a window, blocking in background mode and from scripts."""

    _scene = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if current is not None:
            cls.poll_message_set("Pose2Mesh is at work. Press Esc to stop it")
            return False
        return True

    def run(self, context: bpy.types.Context, sources: list[Path], settings: dict, modal: bool) -> Result:
        """Start the job; returns what `invoke` or `execute` has to return."""
        self._scene = context.scene.name

        def make() -> Job:
            return Job(sources, cache_folder(context), {**settings, "device": device(context)}, self._build)

        return self.begin(context, make, modal)

    def begin(self, context: bpy.types.Context, make: Callable[[], Job], modal: bool) -> Result:
        """Start what `make` makes; returns what `invoke` or `execute` has to return."""
        global current, last_message
        last_message = ("", "")
        for let_go in before_start:
            let_go()
        try:
            job = make()
            job.start()
        except OSError as error:
            self.report({"ERROR"}, f"{error.filename or 'The cache folder'} cannot be used as cache "
                                   f"({error.strerror or error}). Choose another cache folder in the preferences.")
            return {"CANCELLED"}
        except Pose2MeshError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        current = job
        if modal:
            _occupy(context)
            context.window_manager.modal_handler_add(self)
            return {"RUNNING_MODAL"}
        try:
            while not job.over:
                job.step()
                time.sleep(0.02)
        except BaseException:
            shut_down()
            raise
        return self._finish(context)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        job = current
        if job is None:  # the add-on was switched off
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            job.stop()
            if job.stopping > 2:  # the worker does not listen
                client().terminate()
                job.over = True
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            job.step()
        except Exception:
            shut_down()
            self.report({"ERROR"}, "Unexpected failure; the console has the details. Finished frames are kept.")
            raise
        if job.over:
            return self._finish(context)
        hint = "Esc: Stop at once" if job.stopping else "Esc: Stop and keep finished frames"
        context.workspace.status_text_set(f"Pose2Mesh: {job.text} | {hint}")
        _redraw_sidebars(context.window_manager)
        return {"RUNNING_MODAL"} if event.type == "ESC" else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator, for example because another file is opened."""
        shut_down()

    def _build(self, folder: Path) -> str:
        """A finished take into the scene; the message says what came."""
        scene = bpy.data.scenes.get(self._scene) or bpy.context.scene
        settings = settings_of(scene)
        with Take.open(folder) as take:
            texture = Path(bpy.path.abspath(settings.texture)) if settings.texture else None
            collection = takes.build_take(take, scene, match_scene=settings.match_scene, texture=texture)
            people, done, asked = takes.people_of(collection), int(take.done.sum()), len(take)
        if scene == bpy.context.scene:
            _show(bpy.context, collection, people)
        kept = f"{done}" if done == asked else f"{done} of {asked}"
        who = "1 person" if len(people) == 1 else f"{len(people)} people"
        return f"{collection.name}: {who}, {kept} frames"

    def _finish(self, context: bpy.types.Context) -> Result:
        global current, last_message
        job, current = current, None
        assert job is not None
        _put_away()
        for message in job.failed:
            self.report({"ERROR" if not job.made else "WARNING"}, message)
        if text := job.summary():
            self.report({"WARNING" if job.failed or not job.made else "INFO"}, text)
        last_message = ("ERROR", job.failed[-1]) if job.failed else ("INFO", job.made[-1] if job.made else "")
        return {"FINISHED"} if job.made else {"CANCELLED"}


def _occupy(context: bpy.types.Context) -> None:
    """Start the timer that drives a modal job."""
    global _in_window
    manager = context.window_manager
    timer = manager.event_timer_add(0.1, window=context.window)

    def put_away() -> None:
        manager.event_timer_remove(timer)
        _clear_status()
        _redraw_sidebars(manager)

    _in_window = put_away


def _clear_status() -> None:
    """In every workspace: each one that the user went to meanwhile shows the text."""
    for workspace in bpy.data.workspaces:
        workspace.status_text_set(None)


def _put_away() -> None:
    global _in_window
    put_away, _in_window = _in_window, None
    if put_away:
        put_away()


def _show(context: bpy.types.Context, collection: bpy.types.Collection, people: list[bpy.types.Object]) -> None:
    """Select the new people and look through the new camera."""
    if context.mode == "OBJECT":
        for ob in context.selected_objects:
            ob.select_set(False)
        for ob in people:
            if ob.name in context.view_layer.objects:
                ob.select_set(True)
                context.view_layer.objects.active = people[0]
    camera = takes.take_camera(collection)
    for area in context.screen.areas if context.screen else ():
        if area.type == "VIEW_3D":
            look_through(area.spaces.active, camera if context.scene.camera != camera else None)
            region = next((r for r in area.regions if r.type == "WINDOW"), None)
            if region and not bpy.app.background:
                override: Any = context.temp_override(area=area, region=region)
                with override:
                    bpy.ops.view3d.view_center_camera()  # fill the view with the picture


def _redraw_sidebars(manager: bpy.types.WindowManager) -> None:
    """Only what shows the progress: redrawing every area makes each tick slow."""
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
