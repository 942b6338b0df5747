"""People as assets: object, material and actions, described so that they are found again."""
from __future__ import annotations

import bpy

TAG = "Pose2Mesh"


def parts(ob: bpy.types.Object) -> list[bpy.types.ID]:
    """What of a person is of use by itself: the object, its materials, the actions of its path and of its keys."""
    owners = [ob, *([ob.data.shape_keys] if ob.data.shape_keys else [])]
    actions = [a.action for owner in owners if (a := owner.animation_data) and a.action]
    return list(dict.fromkeys([ob, *filter(None, ob.data.materials), *actions]))


def is_marked(ob: bpy.types.Object) -> bool:
    return all(part.asset_data for part in parts(ob))


def mark(ob: bpy.types.Object, take: str) -> None:
    """Marks what is not marked yet; take: the name that is said in the description. Previews are drawn by Blender."""
    for part in parts(ob):
        if part.asset_data:
            continue
        part.asset_mark()
        part.asset_data.description = f"{ob.name}, {take}" if take else ob.name
        part.asset_data.tags.new(TAG, skip_if_exists=True)
        if not bpy.app.background:
            part.asset_generate_preview()
