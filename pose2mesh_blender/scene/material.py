"""Material of a person: an image in SMPL's official UV layout on a plain surface."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..core.assets import asset_path, load_index
from ..core.errors import ExportError

SKIN = (0.62, 0.45, 0.36, 1.0)


def default_texture() -> Path | None:
    """The bundled texture, None when the index lists none. Raises AssetError when it is not the one we shipped."""
    name = next((a["file"] for a in load_index()["assets"] if Path(a["file"]).name.startswith("texture")), None)
    return asset_path(name) if name else None


def new_material(name: str, texture: Path | None) -> bpy.types.Material:
    """A matte Principled material; `texture` is an image in SMPL's UV layout, None gives a plain skin tone."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    material.diffuse_color = SKIN  # type: ignore[assignment]
    surface: Any = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    surface.inputs["Base Color"].default_value = SKIN
    surface.inputs["Roughness"].default_value = 0.7
    if texture:
        set_texture(material, texture)
    return material


def set_texture(material: bpy.types.Material, texture: Path) -> bpy.types.Image:
    """Show `texture` on `material`, replacing the image it had.

    Raises ExportError when it is not a readable image, or when the material has no place for one.
    """
    tree = material.node_tree
    node: Any = texture_node(material)
    surface: Any = next((n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"), None) if tree else None
    if node is None and surface is None:
        raise ExportError(f"{texture}: the material {material.name} has no Principled BSDF to show it.",
                          "Add one in the shader editor, or remove the material.")
    image = _packed(texture)
    if node is None:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.location = (surface.location.x - 320, surface.location.y)
        tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    node.image = image
    tree.nodes.active = node  # Workbench shows the active image node
    return image


def _packed(path: Path) -> bpy.types.Image:
    """The image as the file is now, inside the .blend, which must not depend on where the add-on is installed."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise ExportError(f"{path}: Blender cannot read this image.", "Choose a PNG or JPEG file.") from error
    if not image.size[0]:  # type: ignore[index]
        bpy.data.images.remove(image)
        raise ExportError(f"{path}: Blender cannot read this image.", "Choose a PNG or JPEG file.")
    image.pack()
    for other in bpy.data.images:
        if other != image and not other.is_dirty and _same(other, image):
            bpy.data.images.remove(image)
            return other  # one for everybody who wears it
    return image


def _same(one: bpy.types.Image, other: bpy.types.Image) -> bool:
    """Whether both have the same file inside."""
    a, b = one.packed_file, other.packed_file
    if not a or not b or a.size != b.size or a.data != b.data:
        return False
    return Path(bpy.path.abspath(one.filepath)) == Path(bpy.path.abspath(other.filepath))


def texture_node(material: bpy.types.Material | None) -> bpy.types.ShaderNodeTexImage | None:
    """The node that holds the material's image; None where there is none."""
    tree = material.node_tree if material else None
    found: Any = (n for n in tree.nodes if n.type == "TEX_IMAGE") if tree else ()
    return next(iter(found), None)
