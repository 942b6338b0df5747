// Plays the FBX or GLB of ?file=URL with three.js' loader and skinning. A program may take over: `ready`, `pose`.
import {
  AmbientLight, AnimationMixer, Box3, Color, DirectionalLight, MeshLambertMaterial, PerspectiveCamera, Scene, Timer,
  Vector3, WebGLRenderer,
} from 'three'
import { OrbitControls } from 'three/addons/controls/OrbitControls.js'
import { FBXLoader } from 'three/addons/loaders/FBXLoader.js'
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js'

const CENTIMETRE = 0.01
const LIGHT = Math.PI  // three's lights and Blender's then have the same brightness

async function load(file) {
  const isGltf = new URL(file, location.href).pathname.endsWith('.glb')
  const loaded = await new (isGltf ? GLTFLoader : FBXLoader)().loadAsync(file)
  const root = isGltf ? loaded.scene : loaded
  // FBXLoader leaves the file's unit, a number of centimetres, to us; glTF has metres.
  if (!isGltf) root.scale.setScalar(CENTIMETRE * (root.userData.unitScaleFactor ?? 1))
  return { root, animations: loaded.animations }
}

const renderer = new WebGLRenderer({ antialias: true })
renderer.setSize(innerWidth, innerHeight)
document.body.append(renderer.domElement)
const scene = new Scene()
scene.background = new Color(0x808080)
const camera = new PerspectiveCamera(35, innerWidth / innerHeight, 0.01, 100)
const controls = new OrbitControls(camera, renderer.domElement)
const sun = new DirectionalLight(0xffffff, 0.8 * LIGHT)
scene.add(sun, sun.target, new AmbientLight(0xffffff, 0.35 * LIGHT))

const { root, animations } = await load(new URLSearchParams(location.search).get('file'))
scene.add(root)
const meshes = []
root.traverse((node) => {
  if (!node.isMesh) return
  node.frustumCulled = false  // skinned: its bounds are those of the rest pose
  node.material = new MeshLambertMaterial({ map: [node.material].flat()[0].map })  // what Blender's render can do, too
  meshes.push(node)
})
meshes.sort((a, b) => (a.name < b.name ? -1 : 1))
const mixer = new AnimationMixer(root)
for (const clip of animations) mixer.clipAction(clip).play()
const end = Math.max(0, ...animations.map((c) => c.duration)) * (1 - 1e-6)  // at the very end a clip starts over

function look(eye, target, fov) {
  camera.position.set(...eye)
  camera.fov = fov
  camera.updateProjectionMatrix()
  controls.target.set(...target)
  controls.update()
}

function draw() {
  sun.position.copy(camera.position)  // from the eye, so that no side is dark
  sun.target.position.copy(controls.target)
  renderer.render(scene, camera)
}

const box = new Box3().setFromObject(root, true)
const middle = box.getCenter(new Vector3())
look(middle.clone().add(new Vector3(0.35, 0.15, 1).multiplyScalar(2.2 * box.getSize(new Vector3()).y)).toArray(),
  middle.toArray(), 35)
const timer = new Timer()
renderer.setAnimationLoop(() => {
  mixer.update(timer.update().getDelta())
  controls.update()
  draw()
})

// Draws one moment through one camera ({eye, target, fov}, metres, y up, degrees from bottom to top), and returns where
// every corner of every triangle is, mesh by mesh: base64 of float32.
window.pose = async (time, view) => {
  renderer.setAnimationLoop(null)
  mixer.setTime(Math.min(time, end))
  look(view.eye, view.target, view.fov)
  await Promise.all(meshes.map((m) => m.material.map?.image?.decode?.()))
  draw()
  const corners = []
  const point = new Vector3()
  for (const mesh of meshes) {
    const { index, attributes } = mesh.geometry
    for (let k = 0; k < (index ?? attributes.position).count; k++) {
      corners.push(...mesh.getVertexPosition(index ? index.getX(k) : k, point).applyMatrix4(mesh.matrixWorld))
    }
  }
  let text = ''
  for (const byte of new Uint8Array(new Float32Array(corners).buffer)) text += String.fromCharCode(byte)
  return btoa(text)
}
window.ready = true
