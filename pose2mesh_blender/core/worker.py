"""Inference in a child process, and the client that talks to it. No `bpy` module use.

The child is this file, started by its path with any Python (`python -I -u worker.py --path FOLDER ...`): it takes the
package from the folder above itself under a fixed name, whatever that package is called in the parent, and looks for
third-party packages in the folders given with --path. Requests and events are one JSON object per line:

    {"cmd": "animate", "input": PATH, "take": FOLDER, "settings": {...}}   footage or keypoint file -> solved take
    {"cmd": "solve", "take": FOLDER, "settings": {...}}                    solve a take's (edited) keypoints again
    {"cmd": "resolve", "take": FOLDER, "changes": {PERSON: {"rows": [], "joints": [], "values": [[x, y, confidence]]}},
     "focus": ROW, "all": bool}   store corrected keypoints and solve what they reach (core/resolve.py), or all
    {"cmd": "redetect", "take": FOLDER, "person": ID, "rows": [FIRST, LAST], "keep_edited": bool, "settings": {...},
     "footage": PATH}   footage: see `redetect.footage_of`
    {"cmd": "merge", "take": FOLDER, "people": [ID, ...]}   one person of several (core/roster.py)
    {"cmd": "split", "take": FOLDER, "person": ID, "row": ROW}
    {"cmd": "seat", "take": FOLDER, "people": [ID, ...]}   exactly these, after solving those who are out of date
    {"cmd": "smooth", "take": FOLDER, "person": ID, "smooth": 0..1, "focus": ROW}   (core/resmooth.py)
    {"cmd": "test", "devices": [NAME, ...]}   run everything once on each and tell how fast that is (core/speed.py)
    {"cmd": "warm", "settings": {...}}   load the network, so that the next request is quick
    {"cmd": "cancel", "keep": bool}   stop; with keep, frames already detected are solved first, and meshing ends
                                      as `done` with the frames that are finished
    {"cmd": "quit"}

    {"event": "ready"}  {"event": "progress", "stage", "done", "total"}  {"event": "done", "take"}
    {"event": "cancelled", "take"}  {"event": "error", "message"}
    {"event": "tested", "device", "engine", "detect_ms", "mesh_ms", "message"}   of test; message: why not
    {"event": "rows", "person", "rows"}   of resolve, redetect and smooth: these rows of the take are new

Every request ends in exactly one of done, cancelled and error. The child stays warm between requests and ends when its
standard input closes, so it never outlives its parent.
"""
from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import types
from collections import deque
from pathlib import Path

PACKAGE = "pose2mesh_worker_package"
FINISHED = ("done", "cancelled", "error")


# -- the parent's side ------------------------------------------------------------------------------------------------
class WorkerClient:
    """Starts, commands and listens to one child process. No call blocks; call `poll` from a timer."""

    def __init__(self, python: str | Path | None = None, paths: list[str] | None = None) -> None:
        """python: the interpreter (default: this one). paths: folders of third-party packages (default: sys.path)."""
        self._command = [str(python or sys.executable), "-I", "-u", str(Path(__file__).resolve())]
        for path in sys.path if paths is None else paths:
            if path and Path(path).is_dir():
                self._command += ["--path", str(path)]
        self._process: subprocess.Popen | None = None
        self._events: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=20)
        self._busy = False

    @property
    def running(self) -> bool:
        """Whether the child process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether a request is out that has not ended."""
        return self._busy

    def start(self) -> None:
        """Starts the child unless it lives."""
        if self.running:
            return
        self.terminate()
        self._events, self._errors, self._busy = queue.SimpleQueue(), deque(maxlen=20), False
        flags = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}  # type: ignore[attr-defined]
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, **flags)
        threading.Thread(target=self._read_events, args=(self._process, self._events), daemon=True).start()
        threading.Thread(target=self._read_errors, args=(self._process, self._errors), daemon=True).start()

    def send(self, request: dict) -> None:
        """Sends one request; starts the child when needed. A dead child answers with an error event."""
        if not self.running:
            self.start()
        self._busy |= request.get("cmd") not in ("cancel", "quit")
        self._write(request)

    def _write(self, request: dict) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):  # a dead child: its end comes as an event
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def cancel(self, keep: bool = False) -> None:
        """Asks the child to stop; it answers with `cancelled` (or `done` when keep or when it was ready before)."""
        self._write({"cmd": "cancel", "keep": keep})

    def poll(self) -> list[dict]:
        """Events since the last call. A crash of the child is one `error` event with "crashed": true."""
        events: list[dict] = []
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return events
            if event is None:
                if self._busy:
                    events.append({"event": "error", "crashed": True, "message": self._obituary()})
                self._busy = False
            else:
                if event.get("event") in FINISHED:
                    self._busy = False
                events.append(event)

    def terminate(self, timeout: float = 2.0) -> None:
        """Ends the child: politely, then by force. Finished frames are in the take."""
        process, self._process, self._busy = self._process, None, False
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin:
                process.stdin.close()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _obituary(self) -> str:
        from .errors import Pose2MeshError

        code = self._process.wait() if self._process else None
        last = next((line for line in reversed(self._errors) if line.strip()), "no message")
        reason = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return str(Pose2MeshError(f"The worker process ended unexpectedly ({reason}; {last}).",
                                  "Finished frames are kept: start again to go on from there."))

    @staticmethod
    def _read_events(process: subprocess.Popen, events: queue.SimpleQueue) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.put(event)
        events.put(None)

    @staticmethod
    def _read_errors(process: subprocess.Popen, errors: deque) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            errors.append(line.decode("utf-8", "replace").rstrip())


# -- the child's side -------------------------------------------------------------------------------------------------
class _Requests:
    """Reads standard input in a thread, so that `cancel` is heard while a request is in work."""

    def __init__(self, stream) -> None:
        self.waiting: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self.cancel, self.keep = threading.Event(), False
        self.pending = 0  # requests that have not ended
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream) -> None:
        for line in stream:
            try:
                request = json.loads(line)
            except ValueError:
                request = {"cmd": "unreadable"}
            if request.get("cmd") == "cancel":
                if self.pending == 0:
                    continue  # its request has ended meanwhile
                self.keep = bool(request.get("keep"))
                self.cancel.set()
            elif request.get("cmd") == "quit":
                break
            else:
                self.pending += 1
                self.waiting.put(request)
        self.keep = False
        self.cancel.set()
        self.waiting.put(None)


def serve(stdin, send) -> None:
    """Answers requests until `quit` or the end of standard input. send(event: dict) writes one event."""
    from .errors import Cancelled, Pose2MeshError
    from .pipeline import Engines
    from .resmooth import Kept
    from .resolve import Memory

    requests, engines, memory, kept = _Requests(stdin), Engines(), Memory(), Kept()
    send({"event": "ready"})
    while (request := requests.waiting.get()) is not None:
        try:
            event = {"event": "done", "take": _answer(request, requests, engines, memory, kept, send)}
        except Cancelled:
            event = {"event": "cancelled", "take": str(request.get("take", ""))}
        except Pose2MeshError as error:
            event = {"event": "error", "message": str(error), "kind": type(error).__name__}
        except MemoryError:
            event = {"event": "error", "message": str(Pose2MeshError(
                "Not enough memory.", "Close other programs and start again: finished frames are kept."))}
        except Exception as error:  # a bug: the parent must hear of it, and the child must live on
            import traceback

            traceback.print_exc()
            event = {"event": "error", "details": traceback.format_exc(),
                     "message": str(Pose2MeshError(f"Unexpected failure: {type(error).__name__}: {error}."))}
        requests.pending -= 1  # before the event, which the parent may answer with the next request at once
        requests.cancel.clear()
        send(event)


def _answer(request: dict, requests: _Requests, engines, memory, kept, send) -> str:
    from .detection.sessions import use_threads
    from .errors import Cancelled, Pose2MeshError
    from .pipeline import Settings, run, solve_take
    from .take import Take

    last_time, last_stage = 0.0, ""

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last_time, last_stage
        if stage != last_stage or done == total or time.monotonic() - last_time > 0.1:
            last_time, last_stage = time.monotonic(), stage
            send({"event": "progress", "stage": stage, "done": done, "total": total})

    settings = Settings.from_dict(request.get("settings") or {})
    use_threads(settings.threads)
    command, folder = request.get("cmd"), str(request.get("take", ""))
    if command == "animate" and folder and request.get("input"):
        run(request["input"], folder, settings, progress, _Cancelled(requests), engines)
    elif command == "solve" and folder:
        with Take.open(folder, write=True) as take:
            if "free_shape" not in (request.get("settings") or {}):
                settings.free_shape = bool(take.info["solve"].get("free_shape", False))
            solve_take(take, engines.network(settings.device), settings, progress, _Cancelled(requests))
    elif command in ("resolve", "redetect") and folder:
        with Take.open(folder, write=True) as take:
            _correct(request, take, settings, engines, memory, progress, requests.cancel.is_set, send)
    elif command in ("merge", "split", "seat", "smooth") and folder:
        with Take.open(folder, write=True) as take:
            _people(request, take, engines.network(settings.device), kept, progress, requests.cancel.is_set, send)
    elif command == "test":
        from .speed import try_device

        for number, device in enumerate(request.get("devices") or ["cpu"]):
            progress("test", number, len(request.get("devices") or ["cpu"]))
            send({"event": "tested", "device": device, **try_device(str(device))})
            if requests.cancel.is_set():
                raise Cancelled
    elif command == "warm":
        engines.network(settings.device)
    else:
        raise Pose2MeshError(f"The worker was asked for something it does not know: {request}.", "Report this.")
    return folder


def _people(request: dict, take, network, kept, progress, cancelled, send) -> None:
    """`merge`, `split`, `seat` and `smooth`."""
    from . import resmooth, roster

    def finished(person: int, rows) -> None:
        send({"event": "rows", "person": person, "rows": [int(row) for row in rows]})

    if request["cmd"] == "merge":
        roster.merge(take, [int(p) for p in request["people"]], network, progress, cancelled)
    elif request["cmd"] == "split":
        roster.split(take, int(request["person"]), int(request["row"]), network, progress, cancelled)
    elif request["cmd"] == "seat":
        roster.bring_back(take, [int(p) for p in request["people"]], network, progress, cancelled)
    else:
        resmooth.resmooth(take, int(request["person"]), float(request["smooth"]), network, free=request.get("free"),
                          focus=request.get("focus"), kept=kept, finished=finished, progress=progress,
                          cancelled=cancelled)


def _correct(request: dict, take, settings, engines, memory, progress, cancelled, send) -> None:
    """`resolve` and `redetect`; the settings of the solve are those that the take was solved with."""
    import numpy as np

    from .redetect import footage_of, redetect
    from .resolve import resolve, resolve_all

    def finished(person: int, rows) -> None:
        if len(rows):
            send({"event": "rows", "person": person, "rows": [int(row) for row in rows]})

    network, edits = engines.network(settings.device), {}
    if request["cmd"] == "redetect":
        person, (first, last) = int(request["person"]), request["rows"]
        edits[person] = redetect(footage_of(take, request.get("footage")), take, person, int(first), int(last),
                                 engines.estimator(settings.preset, "auto", settings.confidence, settings.detector),
                                 progress=progress, cancelled=cancelled,
                                 keep_edited=bool(request.get("keep_edited", True)))
    for name, change in (request.get("changes") or {}).items():
        person = int(name)
        edits[person] = take.edits(person).changed(change["rows"], change["joints"], np.array(change["values"], float),
                                                   take.keypoints(person))
    if request.get("all"):
        resolve_all(take, edits, network, device=settings.device, progress=progress, cancelled=cancelled)
        for person in take.people:
            finished(person, np.flatnonzero(take.solved))
    else:
        resolve(take, edits, network, device=settings.device, focus=request.get("focus"), finished=finished,
                progress=progress, cancelled=cancelled, memory=memory)


class _Cancelled:
    """`cancelled()` for the pipeline, which also answers whether the frames that are done shall be solved."""

    def __init__(self, requests: _Requests) -> None:
        self._requests = requests

    def __call__(self) -> bool:
        return self._requests.cancel.is_set()

    def at_once(self) -> bool:
        """Whether to stop without keeping anything more."""
        return self._requests.cancel.is_set() and not self._requests.keep

    def take_keep(self) -> bool:
        """Whether the cancelling asked to solve what is done; if so, a further cancel is listened to."""
        keep, self._requests.keep = self._requests.keep, False
        if keep:
            self._requests.cancel.clear()
        return keep


def main() -> None:
    parser = argparse.ArgumentParser(description="Worker process of Pose2Mesh; started by the program itself.")
    parser.add_argument("--path", action="append", default=[], help="folder of third-party packages; repeatable")
    options = parser.parse_args()
    sys.path += [p for p in options.path if p not in sys.path]
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parents[1])]  # without running its __init__, which is Blender's
    sys.modules[PACKAGE] = package
    worker = importlib.import_module(f"{PACKAGE}.core.worker")
    # Libraries may print: only events go to the real standard output.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(event: dict) -> None:
        with lock:
            events.write(json.dumps(event) + "\n")
            events.flush()

    with contextlib.suppress(BrokenPipeError):
        worker.serve(sys.stdin, send)
    os._exit(0)  # a thread may still wait for standard input


if __name__ == "__main__":
    main()
