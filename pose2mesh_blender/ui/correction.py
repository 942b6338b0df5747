"""Solving corrected keypoints again as a job of the worker: progress, cancelling, finished rows shown as they come."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import Pose2MeshError, TakeError
from ..core.take import Take
from ..core.worker import FINISHED
from ..scene import corrected, tracks
from . import jobs, keypoints
from .text import label, say, told


class Correction(jobs.Job):
    """Requests to the worker, one per take, whose finished rows go to the meshes.

    requests: folder of the take, request, what was edited per person (for the clip to remember), whether whole
    tracks change in the take, so that markers have to follow.
    """

    pausable = False

    def __init__(self, requests: list[tuple[str, dict, dict, bool]], name: str) -> None:
        super().__init__([Path(folder) for folder, *_ in requests], Path(), {}, lambda folder: "")
        self.requests, self.name = requests, name
        self.before = ""  # state of the take
        self.rows: dict[int, set[int]] = {}

    def start(self) -> None:
        self._next()

    def step(self) -> None:
        for event in jobs.client().poll():
            if event["event"] == "progress":
                self.stage, self.done, self.total = event["stage"], event["done"], max(1, event["total"])
            elif event["event"] == "rows":
                self._show(event["person"], event["rows"])
            elif event["event"] in FINISHED:
                self._end(event)
            if self.over:
                break

    def stop(self) -> None:
        """What is left is solved by the next Re-solve."""
        self.stopping += 1
        jobs.client().cancel()

    @property
    def fraction(self) -> float:
        return (max(0, self.number) + min(1.0, self.done / self.total)) / len(self.sources)

    @property
    def text(self) -> str:
        stage = label(jobs.STAGES.get(self.stage, self.stage))
        return f"{stage} {self.done}/{self.total}" if self.stage in ("detect", "mesh") else stage

    def summary(self) -> str:
        count = max(map(len, self.rows.values()), default=0)
        if self.stopping:
            return say("{}: stopped with {} frames done. Re-solve goes on from there", self.name, count)
        return say("{}: {} frames", self.name, count) if self.made else ""

    def _next(self) -> None:
        self.number += 1
        self.over = self.number >= len(self.requests) or self.stopping > 0
        if not self.over:
            self.folder, self.stage, self.done, self.total = self.sources[self.number], "open", 0, 1
            try:
                jobs.client().start()
            except OSError as error:
                raise Pose2MeshError(f"Blender's Python cannot be started ({error.strerror or error}).",
                                     "Close other programs, or install Blender again.") from error
            with Take.open(self.folder) as take:
                self.before = tracks.state_of(take)
            jobs.client().send(self.requests[self.number][1])

    def _show(self, person: int, rows: list[int]) -> None:
        self.rows.setdefault(person, set()).update(rows)
        try:
            keypoints.show(str(self.folder), person, np.array(rows))
        except TakeError as error:
            if (message := told(error)) not in self.failed:
                self.failed.append(message)

    def _end(self, event: dict) -> None:
        folder, _, people, markers = self.requests[self.number]
        try:
            if event["event"] == "error":
                if "details" in event:
                    print(event["details"])
                self.failed.append(told(event["message"]))
            else:
                keypoints.settle(folder, people)
                with Take.open(folder) as take:
                    for tracked in list(tracks.tracked_anywhere(folder)) if markers else ():
                        tracks.show_rows(tracked, take, np.arange(len(take)))
                    if event["event"] == "done":
                        corrected.finish(take, self.before)
                self.made.append(folder)
        except TakeError as error:
            self.failed.append(told(error))
        self._next()
