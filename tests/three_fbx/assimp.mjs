// Reads an FBX or GLB with assimp and writes what its meshes look like at given times, skinned by the book from
// assimp's nodes, channels, offset matrices and weights.
// node assimp.mjs FILE OUT.bin TIME...   prints JSON; OUT.bin holds, per time and mesh, float32 positions of all corners.
import { readFileSync, writeFileSync } from 'node:fs'

import assimpjs from 'assimpjs'
import { Matrix4, Quaternion, Vector3 } from 'three'

const [file, out, ...times] = process.argv.slice(2)
const assimp = await assimpjs()
const files = new assimp.FileList()
files.AddFile(file, new Uint8Array(readFileSync(file)))
const result = assimp.ConvertFileList(files, 'assjson')
if (!result.IsSuccess()) throw new Error(`assimp: ${result.GetErrorCode()}`)
const scene = JSON.parse(new TextDecoder().decode(result.GetFile(0).GetContent()))

const vector = (v) => new Vector3(...v)
const quaternion = ([w, x, y, z]) => new Quaternion(x, y, z, w)
const matrix = (rows) => new Matrix4().set(...rows)

// The value of [[tick, value], ...] at a tick; mix(a, b, share) of two values.
function at(keys, tick, read, mix) {
  const after = keys.findIndex(([t]) => t >= tick - 1e-4)
  if (after <= 0) return read(keys.at(after < 0 ? -1 : 0)[1])
  const [[t0, a], [t1, b]] = [keys[after - 1], keys[after]]
  return mix(read(a), read(b), Math.min(1, (tick - t0) / (t1 - t0)))
}

// Matrices of all nodes in the world, by name, at a time in seconds.
function posed(seconds) {
  const channels = new Map()
  for (const clip of scene.animations ?? []) {
    for (const channel of clip.channels) channels.set(channel.name, [channel, seconds * clip.tickspersecond])
  }
  const world = new Map()
  const visit = (node, parent) => {
    let own = matrix(node.transformation)
    if (channels.has(node.name)) {
      const [channel, tick] = channels.get(node.name)
      const lerp = (a, b, share) => a.lerp(b, share)
      own = new Matrix4().compose(at(channel.positionkeys, tick, vector, lerp),
        at(channel.rotationkeys, tick, quaternion, (a, b, share) => a.slerp(b, share)),
        at(channel.scalingkeys, tick, vector, lerp))
    }
    world.set(node.name, parent.clone().multiply(own))
    for (const child of node.children ?? []) visit(child, world.get(node.name))
  }
  visit(scene.rootnode, new Matrix4())
  return world
}

const nodes = []  // [name, node], parents first
const collect = (node) => {
  nodes.push(node)
  for (const child of node.children ?? []) collect(child)
}
collect(scene.rootnode)
const shown = nodes.flatMap((node) => (node.meshes ?? []).map((k) => ({ node, mesh: scene.meshes[k] })))

const parts = []
for (const time of times.map(Number)) {
  const world = posed(time)
  for (const { node, mesh } of shown) {
    const rest = new Float64Array(mesh.vertices)
    const points = new Float64Array(rest.length)
    const point = new Vector3()
    const bones = mesh.bones?.length ? mesh.bones : [{ name: node.name, offsetmatrix: new Matrix4().toArray(),
      weights: Array.from({ length: rest.length / 3 }, (_, k) => [k, 1]) }]
    for (const bone of bones) {
      const place = world.get(bone.name).clone().multiply(matrix(bone.offsetmatrix))
      for (const [k, weight] of bone.weights) {
        point.fromArray(rest, 3 * k).applyMatrix4(place)
        points[3 * k] += weight * point.x
        points[3 * k + 1] += weight * point.y
        points[3 * k + 2] += weight * point.z
      }
    }
    const corners = new Float32Array(mesh.faces.flat().flatMap((k) => [...points.subarray(3 * k, 3 * k + 3)]))
    parts.push(Buffer.from(corners.buffer))
  }
}
writeFileSync(out, Buffer.concat(parts))

// The smallest dot product of neighbouring keys' quaternions: 1 where nothing turns, below 0 where one flips.
const continuity = (keys) => Math.min(1, ...keys.slice(1).map(([, q], k) => q.reduce((s, x, i) => s + x * keys[k][1][i], 0)))
const influences = (mesh) => {
  const count = new Uint8Array(mesh.vertices.length / 3)
  for (const bone of mesh.bones ?? []) for (const [k, weight] of bone.weights) if (weight > 0) count[k]++
  return [Math.min(...count), Math.max(...count)]
}
console.log(JSON.stringify({
  meshes: shown.map(({ node, mesh }) => ({
    name: node.name, points: mesh.faces.flat().length, uv: mesh.texturecoords?.length === 1,
    influences: influences(mesh), bones: (mesh.bones ?? []).map((b) => b.name),
  })),
  nodes: nodes.map((n) => n.name),
  textures: (scene.textures ?? []).length,
  clips: (scene.animations ?? []).map((clip) => {
    const moved = clip.channels.map((c) => c.rotationkeys)
    const longest = moved.reduce((a, b) => (b.length > a.length ? b : a))
    return {
      name: clip.name, channels: clip.channels.map((c) => c.name), ticks: clip.tickspersecond,
      times: longest.map(([t]) => t / clip.tickspersecond),
      finite: clip.channels.every((c) => [c.positionkeys, c.rotationkeys, c.scalingkeys].flat(3).every(Number.isFinite)),
      flip: Math.min(...moved.map(continuity)),
      scale: clip.channels.flatMap((c) => c.scalingkeys.flatMap(([, s]) => s)).reduce(
        ([low, high], s) => [Math.min(low, s), Math.max(high, s)], [1, 1]),
    }
  }),
}))
process.exit(0)
