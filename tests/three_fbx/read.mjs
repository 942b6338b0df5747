// Reads an FBX, GLB or BVH with three.js and writes what its meshes look like at given times, in three's own skinning.
// node read.mjs FILE OUT.bin TIME...   prints JSON; OUT.bin holds, per time and mesh, float32 positions of all corners.
import { readFileSync, writeFileSync } from 'node:fs'

// The loaders ask the browser to show textures; we only count them.
const images = []
URL.createObjectURL = (blob) => (images.push(blob.size), 'blob:')
globalThis.document = { createElementNS: () => ({ addEventListener() {}, removeEventListener() {} }) }
globalThis.self = globalThis
globalThis.createImageBitmap = async () => ({ width: 1, height: 1, close() {} })

const { AnimationMixer, Group, Vector3 } = await import('three')
const { FBXLoader } = await import('three/examples/jsm/loaders/FBXLoader.js')
const { BVHLoader } = await import('three/examples/jsm/loaders/BVHLoader.js')
const { GLTFLoader } = await import('three/examples/jsm/loaders/GLTFLoader.js')

const [file, out, ...times] = process.argv.slice(2)
const data = readFileSync(file)
const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
let root, animations
if (file.endsWith('.glb')) {
  const gltf = await new GLTFLoader().parseAsync(buffer, '')
  root = gltf.scene
  animations = gltf.animations
} else if (file.endsWith('.bvh')) {
  const { skeleton, clip } = new BVHLoader().parse(data.toString())
  root = new Group().add(skeleton.bones[0])
  animations = [clip]
} else {
  root = new FBXLoader().parse(buffer, '')
  animations = root.animations
}
const meshes = []
const bones = []
root.traverse((node) => {
  if (node.isMesh) meshes.push(node)
  if (node.isBone) bones.push(node.name)
})
const joints = {}  // of a file without a mesh: where each bone is at each time
meshes.sort((a, b) => (a.name < b.name ? -1 : 1))
const mixer = new AnimationMixer(root)
for (const clip of animations) mixer.clipAction(clip).play()
const end = Math.max(0, ...animations.map((c) => c.duration)) * (1 - 1e-6)  // at the very end a clip starts over

const parts = []
const scales = {}
for (const time of times.map(Number)) {
  mixer.setTime(end ? Math.min(time, end) : time)
  root.updateMatrixWorld(true)
  if (!meshes.length) {
    root.traverse((node) => {
      if (node.isBone) (joints[node.name] ??= []).push(node.getWorldPosition(new Vector3()).toArray())
    })
  }
  for (const mesh of meshes) {
    const { index, attributes } = mesh.geometry
    const count = index ? index.count : attributes.position.count
    const positions = new Float32Array(3 * count)
    const point = new Vector3()
    mesh.skeleton?.update()
    for (let k = 0; k < count; k++) {
      mesh.getVertexPosition(index ? index.getX(k) : k, point).applyMatrix4(mesh.matrixWorld).toArray(positions, 3 * k)
    }
    parts.push(Buffer.from(positions.buffer))
    scales[mesh.name] = mesh.getWorldScale(new Vector3()).toArray()
  }
}
writeFileSync(out, Buffer.concat(parts))
const step = (track) => {  // largest change of a quaternion's sign or direction between keys: the smallest dot product
  let least = 1
  for (let k = 4; track.name.endsWith('.quaternion') && k < track.values.length; k += 4) {
    let dot = 0
    for (let i = 0; i < 4; i++) dot += track.values[k + i] * track.values[k + i - 4]
    least = Math.min(least, dot)
  }
  return least
}
console.log(JSON.stringify({
  meshes: meshes.map((m) => ({
    name: m.name, points: (m.geometry.index ?? m.geometry.attributes.position).count,
    uv: Boolean(m.geometry.attributes.uv), skinned: Boolean(m.isSkinnedMesh),
    shapes: m.morphTargetInfluences?.length ?? 0, map: Boolean([m.material].flat()[0].map),
    scale: scales[m.name],
  })),
  bones,
  joints,
  images,
  clips: animations.map((c) => ({
    name: c.name, duration: c.duration, tracks: c.tracks.length,
    first: Math.min(...c.tracks.map((t) => t.times[0])),
    times: Array.from(c.tracks.reduce((a, b) => (b.times.length > a.times.length ? b : a)).times),
    finite: c.tracks.every((t) => t.values.every(Number.isFinite)), flip: Math.min(...c.tracks.map(step)),
  })),
}))
process.exit(0)
