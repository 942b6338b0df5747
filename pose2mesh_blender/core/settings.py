"""What a user chooses before the work begins. No `bpy` module use."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import DEFAULT_FOV, intrinsics_from_focal, intrinsics_from_fov
from .errors import Pose2MeshError


@dataclass
class Settings:
    """What a user chooses. fov: degrees across the longer image side; focal: pixels (wins over fov); height: metres."""

    preset: str = "accurate"
    device: str = "auto"
    people: int | None = None
    start: int = 0
    end: int | None = None
    step: int = 1
    fov: float | None = None
    focal: float | None = None
    smooth: float = 0.5
    feet: bool = True
    height: float | None = None
    body: str | None = None
    free_shape: bool = False
    threads: int = 0  # of the processor for each network; 0 = as many as help
    confidence: float | None = None  # 0..1, from which somebody counts as a person; None = the detector's own
    detector: str | None = None  # an ONNX network of the user's for the keypoints (core/detection/topdown.py)
    image_size: tuple[int, int] | None = None  # for keypoint files that do not say
    fps: float | None = None  # likewise

    @classmethod
    def from_dict(cls, values: dict) -> Settings:
        """Unknown names are refused, so that a typing error does not pass silently."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise Pose2MeshError(f"Unknown setting: {', '.join(sorted(unknown))}.", "Correct its name.")
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """Raises Pose2MeshError for values that cannot be."""
        for good, what in ((self.preset in ("accurate", "fast"), "preset must be accurate or fast"),
                           (self.people is None or self.people >= 1, "people must be at least 1"),
                           (self.start >= 0, "start must be 0 or more"), (self.step >= 1, "step must be at least 1"),
                           (self.end is None or self.end >= self.start, "end must not be before start"),
                           (self.fov is None or 1 <= self.fov <= 170, "fov must be 1 to 170 degrees"),
                           (self.focal is None or self.focal > 0, "focal must be positive (pixels)"),
                           (0 <= self.smooth <= 1, "smooth must be 0 to 1"),
                           (self.confidence is None or 0 < self.confidence < 1, "confidence must be between 0 and 1"),
                           (self.threads >= 0, "threads must be 0 or more"),
                           (self.height is None or 0.3 <= self.height <= 3, "height must be 0.3 to 3 metres")):
            if not good:
                raise Pose2MeshError(f"Wrong setting: {what}.", "Correct it.")

    def camera(self, size: tuple[int, int]) -> np.ndarray:
        if self.focal:
            return intrinsics_from_focal(*size, self.focal)
        return intrinsics_from_fov(*size, self.fov or DEFAULT_FOV)
