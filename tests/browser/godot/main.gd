# Imports the GLB or FBX that res://spec.json names with Godot's own importer, plays it to the times that stand there, and
# hands the page what came of it: the skeleton, the animation, where every corner of the mesh is, a picture for each time.
extends Node3D

const GREY := Color(0.5019608, 0.5019608, 0.5019608)


func _ready() -> void:
	var spec: Dictionary = JSON.parse_string(FileAccess.get_file_as_string("res://spec.json"))
	var is_fbx: bool = spec.file.ends_with(".fbx")
	var state: GLTFState = FBXState.new() if is_fbx else GLTFState.new()
	var document: GLTFDocument = FBXDocument.new() if is_fbx else GLTFDocument.new()
	var failed := document.append_from_file("res://" + spec.file, state)
	var scene: Node = null if failed else document.generate_scene(state, spec.fps)
	if scene == null:
		_answer({"error": "%s: %d" % [document.get_class(), failed]})
		return
	add_child(scene)
	_light(spec.view)
	var skeleton: Skeleton3D = scene.find_children("*", "Skeleton3D", true, false)[0]
	var player: AnimationPlayer = scene.find_children("*", "AnimationPlayer", true, false)[0]
	var meshes := scene.find_children("*", "MeshInstance3D", true, false)
	var animation := player.get_animation(player.get_animation_list()[0])
	var keys := []
	for track in animation.get_track_count():
		keys.append(animation.track_get_key_count(track))
	var shown := []
	player.play(player.get_animation_list()[0])
	for time: float in spec.times:
		player.seek(minf(time, animation.length), true)
		player.pause()
		await RenderingServer.frame_post_draw  # until then neither the mesh nor the picture know of the pose
		await RenderingServer.frame_post_draw
		var corners := PackedVector3Array()
		for mesh: MeshInstance3D in meshes:
			corners.append_array(_corners(mesh))
		shown.append({
			"corners": Marshalls.raw_to_base64(corners.to_byte_array()),
			"picture": Marshalls.raw_to_base64(get_viewport().get_texture().get_image().save_png_to_buffer()),
		})
	var material: BaseMaterial3D = meshes[0].get_active_material(0)
	_answer({
		"version": Engine.get_version_info().string, "bones": _bones(skeleton), "meshes": meshes.size(),
		"textured": material.albedo_texture != null, "animations": player.get_animation_list(),
		"length": animation.length, "keys": keys, "shown": shown,
	})


# Per bone its name, its parent's, and where SkeletonProfileHumanoid has a bone of that name how far (degrees) the two
# turn apart at rest, each against its own parent; -1 where it has none.
func _bones(skeleton: Skeleton3D) -> Array:
	var profile := SkeletonProfileHumanoid.new()
	var bones := []
	for bone in skeleton.get_bone_count():
		var parent := skeleton.get_bone_parent(bone)
		var known := profile.find_bone(skeleton.get_bone_name(bone))
		var turned := -1.0
		if known >= 0:
			var wanted := profile.get_reference_pose(known).basis.get_rotation_quaternion()
			turned = rad_to_deg(wanted.angle_to(skeleton.get_bone_rest(bone).basis.get_rotation_quaternion()))
		bones.append({
			"name": skeleton.get_bone_name(bone), "turned": turned,
			"parent": "" if parent < 0 else skeleton.get_bone_name(parent),
			"profile_parent": "" if known < 0 else profile.get_bone_parent(known),
		})
	return bones


func _corners(mesh: MeshInstance3D) -> PackedVector3Array:
	var posed := mesh.bake_mesh_from_current_skeleton_pose()
	var out := PackedVector3Array()
	for surface in posed.get_surface_count():
		var arrays := posed.surface_get_arrays(surface)
		var points: PackedVector3Array = arrays[Mesh.ARRAY_VERTEX]
		for index: int in arrays[Mesh.ARRAY_INDEX]:
			out.append(mesh.global_transform * points[index])
	return out


func _light(view: Dictionary) -> void:
	var camera := Camera3D.new()
	camera.fov = view.fov
	camera.near = 0.01
	add_child(camera)
	camera.look_at_from_position(_vector(view.eye), _vector(view.target))
	var sun := DirectionalLight3D.new()
	sun.light_energy = 0.8
	sun.light_specular = 0.0
	sun.transform = camera.transform
	add_child(sun)
	var environment := Environment.new()
	environment.background_mode = Environment.BG_COLOR
	environment.background_color = GREY
	environment.ambient_light_source = Environment.AMBIENT_SOURCE_COLOR
	environment.ambient_light_color = Color.WHITE
	environment.ambient_light_energy = 0.35
	var world := WorldEnvironment.new()
	world.environment = environment
	add_child(world)


func _vector(values: Array) -> Vector3:
	return Vector3(values[0], values[1], values[2])


func _answer(facts: Dictionary) -> void:
	JavaScriptBridge.eval("window.answer = %s" % JSON.stringify(facts), true)
