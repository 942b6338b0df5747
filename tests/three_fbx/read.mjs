// Reads an FBX with three.js and writes what its meshes look like at given times.
// node read.mjs FILE.fbx OUT.bin TIME...   prints JSON; OUT.bin holds, per time and mesh, float32 positions of all corners.
import { readFileSync, writeFileSync } from 'node:fs'

// The loader asks the browser to show textures; we only count them.
const images = []
URL.createObjectURL = (blob) => (images.push(blob.size), 'blob:')
globalThis.document = { createElementNS: () => ({ addEventListener() {}, removeEventListener() {} }) }

const { AnimationMixer, Vector3 } = await import('three')
const { FBXLoader } = await import('three/examples/jsm/loaders/FBXLoader.js')

const [file, out, ...times] = process.argv.slice(2)
const data = readFileSync(file)
const root = new FBXLoader().parse(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength), '')
const meshes = []
root.traverse((node) => { if (node.isMesh) meshes.push(node) })
meshes.sort((a, b) => (a.name < b.name ? -1 : 1))
const mixer = new AnimationMixer(root)
for (const clip of root.animations) mixer.clipAction(clip).play()

const parts = []
const scales = {}
for (const time of times.map(Number)) {
  mixer.setTime(time)
  root.updateMatrixWorld(true)
  for (const mesh of meshes) {
    const base = mesh.geometry.attributes.position
    const positions = new Float32Array(base.array)
    mesh.morphTargetInfluences?.forEach((weight, i) => {
      if (!weight) return
      const offset = mesh.geometry.morphAttributes.position[i].array
      for (let k = 0; k < positions.length; k++) positions[k] += weight * offset[k]
    })
    const point = new Vector3()
    for (let k = 0; k < positions.length; k += 3) {
      point.fromArray(positions, k).applyMatrix4(mesh.matrixWorld).toArray(positions, k)
    }
    parts.push(Buffer.from(positions.buffer))
    scales[mesh.name] = mesh.getWorldScale(new Vector3()).toArray()
  }
}
writeFileSync(out, Buffer.concat(parts))
console.log(JSON.stringify({
  meshes: meshes.map((m) => ({
    name: m.name, points: m.geometry.attributes.position.count, uv: Boolean(m.geometry.attributes.uv),
    shapes: m.morphTargetInfluences?.length ?? 0, map: Boolean([m.material].flat()[0].map),
    scale: scales[m.name],
  })),
  images,
  clips: root.animations.map((c) => ({
    name: c.name, duration: c.duration, tracks: c.tracks.length,
    first: Math.min(...c.tracks.map((t) => t.times[0])), times: Array.from(c.tracks[0].times),
  })),
}))
