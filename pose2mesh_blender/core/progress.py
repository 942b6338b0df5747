"""What long work tells, and how it is asked to stop. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # stage, done, total


def silent(stage: str, done: int, total: int) -> None:
    return None


def never() -> bool:
    return False


def keeps(cancelled: Callable[[], bool]) -> bool:
    """Whether who stops the work wants what is done so far; see `pipeline.run`. Forgets the wish."""
    return bool(getattr(cancelled, "take_keep", never)())
