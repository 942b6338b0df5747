"""Finding people and their keypoints in images. No `bpy` module use."""
from .estimator import PersonKeypoints, PoseEstimator
from .topdown import TopDownOnnx

__all__ = ["PersonKeypoints", "PoseEstimator", "TopDownOnnx"]
