"""One request about one take as a job: progress, cancelling, rows shown as they come."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core.errors import TakeError
from ..core.take import Take
from ..scene import corrected, refresh
from . import jobs
from .text import clock, label, say, told


class TakeJob(jobs.Job):
    """A request to the worker; when it is done, all that shows the take is brought up to date.

    heirs: of newcomers, as for `refresh`, or a function of the take that says them.
    """

    pausable = False

    def __init__(self, folder: str, request: dict, message: str,
                 heirs: Callable[[Take], dict[int, int]] | None = None) -> None:
        super().__init__([Path(folder)], Path(folder), {}, self._show_take)
        self.request, self.message, self.heirs = {**request, "take": folder}, message, heirs

    def start(self) -> None:
        self._next()

    def heard(self, event: dict) -> None:
        show_rows(str(self.folder), event["person"], event["rows"])

    def stop(self) -> None:
        self.stopping += 1
        jobs.client().cancel()

    @property
    def fraction(self) -> float:
        low, high = {"open": (0.0, 0.0), "solve": (0.0, 0.3)}.get(self.stage, (0.0, 1.0))
        return low + (high - low) * min(1.0, self.done / self.total)

    @property
    def text(self) -> str:
        stage = label(jobs.STAGES.get(self.stage, self.stage))
        return label("{}, {} left", stage, clock(self.remaining)) if self.remaining is not None else stage

    def summary(self) -> str:
        if self.made:
            return self.made[0]
        return say("Stopped. Nothing was changed") if self.stopping else ""

    def _folder(self, source: Path) -> Path:
        return source

    def _request(self, folder: Path) -> dict:
        return self.request

    def _fail(self, event: dict) -> None:
        if "details" in event:
            print(event["details"])
        self.failed.append(told(event["message"]))
        self._next()

    def _show_take(self, folder: Path) -> str:
        with Take.open(folder) as take:
            for collection in refresh.collections_of(str(folder)):
                refresh.refresh(collection, take, self.heirs(take) if self.heirs else None)
                for tell in jobs.built:
                    tell(collection, take)
            return self.message


def show_rows(folder: str, person: int, rows: list[int]) -> None:
    """Rows that are solved, into the meshes; what cannot show them is told by `refresh` in the end."""
    try:
        with Take.open(folder) as take:
            corrected.show_rows(take, person, np.array(rows, int))
    except TakeError:
        return
