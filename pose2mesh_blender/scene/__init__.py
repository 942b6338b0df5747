"""The only part that touches Blender's data: meshes, shape keys, cameras, materials, takes and export."""
