"""Listening to the worker without missing anything, however fast it is."""
from __future__ import annotations

from collections import deque

from pose2mesh_blender.core.worker import WorkerClient


def one_by_one(client: WorkerClient) -> WorkerClient:
    """Lets `poll` hand out one event a call: who looks between the calls sees every state that was reported."""
    waiting: deque[dict] = deque()
    poll = client.poll

    def poll_one() -> list[dict]:
        waiting.extend(poll())
        return [waiting.popleft()] if waiting else []

    client.poll = poll_one  # type: ignore[method-assign]
    return client
