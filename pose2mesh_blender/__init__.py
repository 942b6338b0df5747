"""Pose2Mesh for Blender: ordinary footage of people becomes animated, textured meshes."""


def register() -> None:
    from . import ui

    ui.register()


def unregister() -> None:
    from . import ui

    ui.unregister()
