"""What a shell user sees while work goes on, and how Ctrl-C is heard. No `bpy` module use."""
from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

STAGES = {"open": "Opening", "detect": "Finding people", "solve": "Lifting to 3D", "mesh": "Building meshes",
          "overlay": "Drawing overlay", "write": "Writing files"}


class Terminal:
    """Progress bars where a person looks, none in a log; the first Ctrl-C asks politely, the second insists."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.stop = quiet, False
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def cancelled(self) -> bool:
        return self.stop

    @contextmanager
    def working(self) -> Iterator[None]:
        def interrupt(number: int, _frame: object) -> None:
            if self.stop or number != signal.SIGINT:
                raise KeyboardInterrupt
            self.stop = True

        before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            if self.quiet or not sys.stderr.isatty():
                yield
            else:
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

                columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(),
                           TimeRemainingColumn(elapsed_when_finished=True))
                with Progress(*columns, console=Console(stderr=True)) as self._bars:
                    yield
        finally:
            self._bars, self._tasks = None, {}
            for number, handler in before.items():
                signal.signal(number, handler)

    def progress(self, stage: str, done: int, total: int) -> None:
        if self._bars is not None and stage != "open":
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(STAGES.get(stage, stage), total=total)
            self._bars.update(self._tasks[stage], completed=done, total=total)

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
