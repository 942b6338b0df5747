"""The command line with a detection that waits after a row: no machine is too fast to be stopped in the middle.

python held_cli.py ROW FILE ARGUMENTS...: after footage row ROW is stored, nothing goes on while FILE exists.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose2mesh_blender.cli import main
from pose2mesh_blender.core.take import Take


def hold(row: int, file: Path) -> None:
    mark = Take.mark_detected

    def mark_and_wait(take: Take, rows) -> None:
        mark(take, rows)
        while row in rows and file.exists():
            time.sleep(0.02)

    Take.mark_detected = mark_and_wait  # type: ignore[method-assign]


if __name__ == "__main__":
    hold(int(sys.argv[1]), Path(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
