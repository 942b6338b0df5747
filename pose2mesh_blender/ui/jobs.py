"""Long work without freezing Blender: requests to the worker process, one job at a time, driven by a timer.

Operators inherit `WorkerOperator`. Nothing here keeps references to Blender's data between ticks: an undo or another
file may replace it.
"""
from __future__ import annotations

import atexit
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import bpy

from ..core.errors import Pose2MeshError
from ..core.take import Take
from ..core.worker import WorkerClient
from ..scene import lens, refresh, takes
from . import queue, viewing
from .folders import folder_for
from .preferences import cache_folder, detection, engine
from .properties import Result, settings_of
from .text import clock, label, say, told

STAGES = {"open": "Opening", "detect": "Finding people", "solve": "Lifting to 3D", "mesh": "Shaping meshes"}
SHARE = {"open": (0.0, 0.02), "detect": (0.02, 0.8), "solve": (0.8, 0.85), "mesh": (0.85, 1.0)}  # of the progress bar

current: Job | None = None
last_message: tuple[str, str] = ("", "")  # (ERROR, STOPPED or INFO, text) of the job before, for the panel
_client: WorkerClient | None = None
_in_window: Callable[[], None] | None = None  # takes timer and status text away
before_start: list[Callable[[], None]] = []  # what else holds takes lets them go
built: list[Callable[[bpy.types.Collection, Take], None]] = []  # who wants to know of a take that came into the scene


def client() -> WorkerClient:
    """The worker process's client; it is started on first use and stays warm."""
    global _client
    if _client is None:
        _client = WorkerClient()
        atexit.register(_client.terminate)  # a Python that ends with the worker's pipes open hangs
    return _client


def in_window() -> bool:
    """Whether an operator with a timer drives the job; Blender ends that itself when another file is opened."""
    return _in_window is not None


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
class Item:
    """One piece of footage of a job. state: waiting | running | paused | done | stopped | failed."""

    source: Path
    state: str = "waiting"
    message: str = ""


@dataclass
class Job:
    """Footage to animate, one after the other. Each finished take goes to `arrived(folder) -> message`.

    lens: what the settings of one piece of footage have beyond `settings`.
    """

    pausable: ClassVar[bool] = True
    sources: list[Path]
    cache: Path
    settings: dict
    arrived: Callable[[Path], str]
    lens: Callable[[Path], dict] = lambda source: {}
    number: int = -1
    folder: Path = Path()
    stage: str = "open"
    done: int = 0
    total: int = 1
    stopping: int = 0  # how often the user asked to stop: once keeps what is done, twice drops it
    paused: bool = False
    retried: bool = False
    over: bool = False
    made: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _pace: list[tuple[float, float]] = field(default_factory=list)  # (time, fraction) of the last while

    def __post_init__(self) -> None:
        self.items = [Item(source) for source in self.sources]

    def start(self) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        self._next()

    def step(self) -> None:
        """Read what the worker said since the last call."""
        for event in client().poll():
            if event["event"] == "progress":
                self.stage, self.done, self.total = event["stage"], event["done"], max(1, event["total"])
                self._keep_pace()
            elif event["event"] in ("rows", "tested"):
                self.heard(event)
            elif event["event"] == "done":
                self._arrive()
            elif event["event"] == "cancelled":
                self._cancelled()
            elif event["event"] == "error":
                self._fail(event)
            if self.over:
                break

    def heard(self, event: dict) -> None:
        """Rows of a take that are new, for jobs that ask for them."""

    def stop(self) -> None:
        """Ask to stop: the first time finished frames are still made into meshes."""
        self.stopping += 1
        if self.paused:
            self._set("stopped")
            self.over = True
        else:
            client().cancel(keep=self.stopping == 1)

    def pause(self) -> None:
        """Let the machine rest; what is detected is stored."""
        self.paused = True
        self._pace.clear()
        client().cancel()

    def go_on(self) -> None:
        """Exactly where it was paused."""
        self.paused = False
        if not client().busy:
            self._send(self.folder)

    @property
    def fraction(self) -> float:
        low, high = SHARE.get(self.stage, (0.0, 1.0))
        here = low + (high - low) * min(1.0, self.done / self.total)
        return (max(0, self.number) + here) / len(self.sources)

    @property
    def remaining(self) -> float | None:
        """Seconds, by the pace of the last while; None while nobody can know."""
        if len(self._pace) < 2 or self.paused:
            return None
        (before, share), (now, here) = self._pace[0], self._pace[-1]
        return (now - before) / (here - share) * (1 - here) if now - before > 2 and here > share else None

    @property
    def text(self) -> str:
        stage = label("Paused") if self.paused else label(STAGES.get(self.stage, self.stage))
        if self.stage in ("detect", "mesh"):
            stage = f"{stage} {self.done}/{self.total}"
        if self.remaining is not None:
            stage = label("{}, {} left", stage, clock(self.remaining))
        return stage if len(self.sources) == 1 else label("{} of {}: {}", self.number + 1, len(self.sources), stage)

    def summary(self) -> str:
        """How it went, apart from what failed."""
        if not self.made:
            return say("Stopped before a frame was finished. The scene is unchanged") if self.stopping else ""
        ending = say("Animate again to go on") if self.stopping else say("Press Space to play, or export it")
        if len(self.sources) == 1:
            return say("Animated {}. {}", "; ".join(self.made), ending)
        if self.failed:
            return say("Animated {} of {}, {} failed. {}", len(self.made), len(self.sources), len(self.failed), ending)
        return say("Animated {} of {}. {}", len(self.made), len(self.sources), ending)

    def _keep_pace(self) -> None:
        now, here = time.monotonic(), self.fraction
        if self._pace and here < self._pace[-1][1]:
            self._pace.clear()
        self._pace.append((now, here))
        while len(self._pace) > 2 and now - self._pace[0][0] > 30:
            self._pace.pop(0)

    def _next(self) -> None:
        self.number += 1
        self.over = self.number >= len(self.sources) or self.stopping > 0
        if self.over:
            return
        self.retried = False
        folder = self._folder(self.sources[self.number])
        if self.paused:
            self.folder = folder
            self._set("paused")
        else:
            self._send(folder)

    def _folder(self, source: Path) -> Path:
        """Where the take of this footage lies; beside a finished one that some scene shows there will be another."""
        return folder_for(self.cache, source, self.settings)

    def _request(self, folder: Path) -> dict:
        source = self.sources[self.number]
        return {"cmd": "animate", "input": str(source), "take": str(folder),
                "settings": {**self.settings, **self.lens(source)}}

    def _send(self, folder: Path) -> None:
        self.folder, self.stage, self.done, self.total = folder, "open", 0, 1
        self._pace.clear()
        try:
            client().start()
        except OSError as error:
            raise Pose2MeshError(say("Blender's Python cannot be started ({}).", error.strerror or error),
                                 say("Close other programs, or install Blender again.")) from error
        client().send(self._request(folder))
        self._set("running")

    def _set(self, state: str, message: str = "") -> None:
        if 0 <= self.number < len(self.items):
            self.items[self.number].state, self.items[self.number].message = state, message

    def _cancelled(self) -> None:
        if self.stopping:
            self._set("stopped")
            self.over = True
        elif self.paused:
            self._set("paused")
        else:  # it was paused for a moment only
            self._send(self.folder)

    def _arrive(self) -> None:
        try:
            message = self.arrived(self.folder)
            self.made.append(message)
            self._set("stopped" if self.stopping else "done", message)
        except Pose2MeshError as error:
            self.failed.append(told(error))
            self._set("failed", told(error))
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
        message = told(event["message"])
        self.failed.append(message)
        self._set("failed", message)
        self._next()


class WorkerOperator(bpy.types.Operator if TYPE_CHECKING else object):  # type: ignore[misc]
    """Base of operators that animate footage: modal in a window, blocking in background mode and from scripts."""

    _scene = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if current is not None:
            cls.poll_message_set(say("Pose2Mesh is at work. Press Esc to stop it"))
            return False
        return True

    def run(self, context: bpy.types.Context, sources: list[Path], settings: dict, modal: bool) -> Result:
        """Start the job; returns what `invoke` or `execute` has to return."""
        self._scene = context.scene.name
        automatic = settings_of(context.scene).lens == "AUTO"

        def make() -> Job:
            whole = {**settings, **detection(context), **engine(context)}
            return Job(sources, cache_folder(context), whole, self._build, guess)

        def guess(source: Path) -> dict:
            focal = None if settings.get("fov") or not automatic else lens.focal_of(source)
            return {"focal": focal} if focal else {}

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
            self.report({"ERROR"}, say(
                "{} cannot be used as cache ({}). Choose another cache folder in the preferences",
                error.filename or say("The cache folder"), error.strerror or error))
            return {"CANCELLED"}
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
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
            self.report({"ERROR"}, say("Unexpected failure; the console has the details. Finished frames are kept"))
            raise
        if job.over:
            return self._finish(context)
        queue.mirror(context.window_manager, job)
        hint = label("Esc: Stop at once") if job.stopping else label("Esc: Stop and keep finished frames")
        context.workspace.status_text_set(f"Pose2Mesh: {job.text} | {hint}")
        viewing.redraw_sidebars(context.window_manager)
        return {"RUNNING_MODAL"} if event.type == "ESC" else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator, for example because another file is opened."""
        shut_down()

    def _build(self, folder: Path) -> str:
        """A finished take into the scene; the message says what came."""
        scene = bpy.data.scenes.get(self._scene) or bpy.context.scene
        settings = settings_of(scene)
        with Take.open(folder) as take:
            here = [c for c in takes.takes_in(scene) if c[takes.TAKE] == str(folder)]
            if here:  # it was not finished when it was shown
                collection = here[0]
                refresh.refresh(collection, take)
            else:
                texture = Path(bpy.path.abspath(settings.texture)) if settings.texture else None
                video = Path(bpy.path.abspath(settings.video)) if settings.video else None
                collection = takes.build_take(take, scene, match_scene=settings.match_scene, texture=texture,
                                              video=video)
                refresh.note(collection, take)
            for tell in built:
                tell(collection, take)
            of_keypoints = take.footage.get("kind") == "keypoints"
            left_out = of_keypoints and settings.video and not takes.clip_of(collection)
            people, done, asked = takes.people_of(collection), int(take.done.sum()), len(take)
        if scene == bpy.context.scene:
            viewing.show(bpy.context, collection, people)
        if left_out:
            return say("{}: {} people, {} frames. {} was left out: it is no video of the keypoints' size",
                       collection.name, len(people), done, Path(settings.video).name)
        if done == asked:
            return say("{}: {} people, {} frames", collection.name, len(people), done)
        return say("{}: {} people, {} of {} frames", collection.name, len(people), done, asked)

    def _finish(self, context: bpy.types.Context) -> Result:
        global current, last_message
        job, current = current, None
        assert job is not None
        queue.mirror(context.window_manager, job)
        _put_away()
        for message in job.failed:
            self.report({"ERROR" if not job.made else "WARNING"}, message)
        if text := job.summary():
            self.report({"WARNING" if job.failed or not job.made else "INFO"}, text)
        level = "ERROR" if job.failed else "STOPPED" if job.stopping and job.pausable and job.made else "INFO"
        last_message = level, (job.failed or job.made or [""])[-1]
        return {"FINISHED"} if job.made else {"CANCELLED"}


def _occupy(context: bpy.types.Context) -> None:
    """Start the timer that drives a modal job."""
    global _in_window
    manager = context.window_manager
    timer = manager.event_timer_add(0.1, window=context.window)

    def put_away() -> None:
        manager.event_timer_remove(timer)
        _clear_status()
        viewing.redraw_sidebars(manager)

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
