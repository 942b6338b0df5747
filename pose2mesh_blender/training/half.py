"""Stores an ONNX model's weights in half precision; it still computes in single precision."""
from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def store_half(model: onnx.ModelProto, smallest: int = 64) -> None:
    """In place: float32 initialisers of at least `smallest` numbers that lose nothing by it become float16 behind a
    Cast node, which ONNX Runtime folds at load time."""
    casts, tensors = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size >= smallest and np.array_equal(array, array.astype(np.float16)):
            tensors.append(numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}_half"))
            casts.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], f"{tensor.name}_cast",
                                          to=TensorProto.FLOAT))
        else:
            tensors.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(tensors)
    model.graph.node.extend(nodes)
