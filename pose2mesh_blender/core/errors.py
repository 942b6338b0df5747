"""Errors that a person reads: each is one line that names the file and the cure. No `bpy` module use."""


class Pose2MeshError(Exception):
    """Base of every error that is shown to the user as it is.

    `message` says what is wrong and names the file; `cure` says what to do about it.
    """

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(f"{message} {cure}".strip())
        self.message, self.cure = message, cure


class AssetError(Pose2MeshError):
    """A bundled file (weights, body, detector) is missing or is not the one we shipped."""


class FootageError(Pose2MeshError):
    """Footage that cannot be opened, decoded or used."""


class KeypointFileError(Pose2MeshError):
    """A keypoint file whose content cannot be what it claims."""


class BodyFileError(Pose2MeshError):
    """A user's SMPL body file that cannot be read safely."""


class TakeError(Pose2MeshError):
    """A take folder that is damaged, locked or made from other footage."""


class DeviceError(Pose2MeshError):
    """A device or engine that was asked for and is not there."""


class ExportError(Pose2MeshError):
    """A result that cannot be written."""


class Cancelled(Exception):
    """Raised inside long work when the caller's `cancelled()` answers True."""
