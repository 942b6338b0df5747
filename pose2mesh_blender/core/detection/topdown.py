"""A user's own top-down keypoint network (HRNet, SimpleBaseline, ViTPose, RTMPose) in place of MoveNet. No `bpy` use.

    estimator = PoseEstimator(body=TopDownOnnx("rtmpose-m.onnx"))

The network takes one image (1, 3, H, W) and answers with heatmaps (1, J, h, w), or with SimCC: two outputs
(1, J, W * k) and (1, J, H * k). J says the joint order: 17 COCO, 26 Halpe, 133 COCO-WholeBody.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import AssetError
from ..imaging import crop_square, to_image
from ..skeletons import convert
from .sessions import OnnxNetwork

# the means and deviations of ImageNet times 255, which these networks were trained with
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
SKELETONS = {17: "coco17", 26: "halpe26", 133: "wholebody133"}


class TopDownOnnx:
    """Loads an ONNX file and finds out its input size and kind from its shapes.

    mean, std: of the RGB channels, 0..255; bgr: the network wants blue first; skeleton: a name of `core.skeletons` when
    the number of joints does not say it; padding: how much larger than the person's box the crop is; gain: factor from
    the network's peak to a confidence 0..1.
    """

    def __init__(self, path: str | Path, device: str = "auto", mean: tuple[float, ...] = MEAN,
                 std: tuple[float, ...] = STD, bgr: bool = False, skeleton: str | None = None, padding: float = 1.25,
                 gain: float = 1.0) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise AssetError(f"{self.path} does not exist.", "Check the path of the network.")
        self._network = OnnxNetwork(self.path, device)
        shape = self._network.input.shape
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(n, int) for n in shape[2:]):
            raise AssetError(f"{self.path.name} takes {shape}, not an image (1, 3, height, width).",
                             "Export the network with a fixed input size.")
        self.height, self.width = shape[2:]
        self._mean, self._scale = np.asarray(mean, np.float32), 1 / np.asarray(std, np.float32)
        self._bgr, self._padding, self._gain, self._skeleton = bgr, padding, gain, skeleton

    def keypoints(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """image: (H, W, 3) uint8 RGB; box: x0, y0, x1, y1 in pixels -> body23, (23, 3) float32."""
        size = max(self.width, self.height)
        # the smallest square round a crop of the network's own proportions; the network sees its middle
        side = self._padding * max((box[2] - box[0]) * size / self.width, (box[3] - box[1]) * size / self.height, 2.0)
        crop, affine = crop_square(image, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), float(side), 0.0, size)
        left, top = (size - self.width) // 2, (size - self.height) // 2
        crop = crop[top:top + self.height, left:left + self.width]
        if self._bgr:
            crop = crop[..., ::-1]
        array = ((crop - self._mean) * self._scale).transpose(2, 0, 1)[None]
        outputs = self._network.run(np.ascontiguousarray(array, np.float32))
        points, scores = self._simcc(outputs) if len(outputs) >= 2 and outputs[0].ndim == 3 else self._heatmap(outputs)
        name = self._skeleton or SKELETONS.get(len(points))
        if name is None:
            raise AssetError(f"{self.path.name} answers with {len(points)} joints of an unknown order.",
                             "Name its skeleton.")
        found = np.column_stack([to_image(points + [left, top], affine), np.clip(scores * self._gain, 0, 1)])
        return convert(found.astype(np.float32), name)

    def _heatmap(self, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Peak of each map, moved a quarter of a cell towards the higher neighbour."""
        if outputs[0].ndim != 4:
            raise AssetError(f"{self.path.name} answers with neither heatmaps nor SimCC ({outputs[0].shape}).",
                             "Export a network with one of these heads.")
        maps = outputs[0][0]
        joints, rows, columns = maps.shape
        y, x = np.divmod(maps.reshape(joints, -1).argmax(1), columns)
        each = np.arange(joints)
        scores = maps[each, y, x]
        shift_x = np.sign(maps[each, y, np.minimum(x + 1, columns - 1)] - maps[each, y, np.maximum(x - 1, 0)])
        shift_y = np.sign(maps[each, np.minimum(y + 1, rows - 1), x] - maps[each, np.maximum(y - 1, 0), x])
        points = np.column_stack([x + 0.5 + 0.25 * shift_x, y + 0.5 + 0.25 * shift_y])
        return points * [self.width / columns, self.height / rows], scores

    def _simcc(self, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Peaks of the two one-dimensional answers; the smaller of both is the score, as RTMPose has it."""
        along_x, along_y = outputs[0][0], outputs[1][0]
        x, y = along_x.argmax(1), along_y.argmax(1)
        size = [self.width / along_x.shape[1], self.height / along_y.shape[1]]
        return (np.column_stack([x, y]) + 0.5) * size, np.minimum(along_x.max(1), along_y.max(1))
