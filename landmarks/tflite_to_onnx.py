"""A TFLite network -> the same network in ONNX: channels first, any batch, pictures of bytes in.

Four axes are NHWC in TFLite and NCHW here; only what goes in, what comes out and what is reshaped is turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks import tflite
from landmarks.errors import FormatError
from landmarks.onnx_file import Attribute, OnnxGraph
from landmarks.tflite import Op, Operator, Tensor

BATCH = "batch"
PICTURES = "pictures"
_CHANNELS_FIRST, _CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_SAME = 0
_NONE, _RELU, _RELU6 = 0, 1, 3


def convert(data: bytes, pixels: tuple[float, float], outputs: Sequence[int], metadata: dict[str, str]) -> bytes:
    """The ONNX file of a TFLite file that looks at one picture.

    Its input `pictures` is (B, H, W, 3) of bytes; its outputs are called `output_0` and so on, float32, laid out as in
    the TFLite file, any number of pictures at a time.
    pixels: what the bytes 0 and 255 mean to the network. outputs: which of the file's outputs are wanted, in this
    order; what only the others need is left out.
    Raises FormatError for what we do not read or convert.
    """
    return _Converter(tflite.read(data), outputs).run(pixels, metadata)


class _Converter:
    """One conversion. names: by a tensor's position, the ONNX value that holds it; constants are there by `value`."""

    def __init__(self, graph: tflite.Graph, outputs: Sequence[int]) -> None:
        if len(graph.inputs) != 1 or len(graph.tensors[graph.inputs[0]].shape) != 4:
            raise FormatError("the TFLite network does not look at one picture")
        self.graph = graph
        self.out = OnnxGraph("tflite")
        self.wanted = [graph.outputs[i] for i in outputs]
        self.names: dict[int, str] = {}
        self.values = {i: tensor.value for i, tensor in enumerate(graph.tensors) if tensor.value is not None}

    def run(self, pixels: tuple[float, float], metadata: dict[str, str]) -> bytes:
        (start,) = self.graph.inputs
        self._look(start, pixels)
        for operator in self._needed():
            if operator.op in (Op.DEQUANTIZE, Op.DENSIFY):
                self._unpack(operator)
            else:
                _CONVERT[operator.op](self, operator)
        shapes = {}
        for i, tensor in enumerate(self.wanted):
            shape = self.graph.tensors[tensor].shape
            source, name = self.names[tensor], f"output_{i}"
            if len(shape) == 4:
                self.out.node("Transpose", [source], name, perm=_CHANNELS_LAST)
            else:
                self.out.node("Identity", [source], name)
            shapes[name] = (BATCH, *shape[1:])
        pictures = (np.uint8, (BATCH, *self.graph.tensors[start].shape[1:]))
        return self.out.write({PICTURES: pictures}, shapes, metadata)

    def _needed(self) -> list[Operator]:
        """The operators that the wanted outputs depend on, in their order."""
        needed, kept = set(self.wanted), []
        for operator in reversed(self.graph.operators):
            if needed & set(operator.outputs):
                needed |= set(operator.inputs)
                kept.append(operator)
        return kept[::-1]

    def _look(self, start: int, pixels: tuple[float, float]) -> None:
        low, high = pixels
        value = self.out.node("Cast", [PICTURES], "bytes", to=1)
        value = self.out.node("Transpose", [value], "channels_first", perm=_CHANNELS_FIRST)
        scale = self.out.constant("scale", np.array((high - low) / 255, np.float32))
        value = self.out.node("Mul", [value, scale], "scaled")
        if low:
            value = self.out.node("Add", [value, self.out.constant("low", np.array(low, np.float32))], "pixels")
        self.names[start] = value

    def _unpack(self, operator: Operator) -> None:
        value = self.constant(operator.inputs[0])
        self.values[operator.outputs[0]] = value.astype(np.float32)

    # What the converters of single operators ask for.

    def tensor(self, i: int) -> Tensor:
        return self.graph.tensors[i]

    def constant(self, i: int) -> NDArray[np.floating] | NDArray[np.integer]:
        """A constant's value. Raises FormatError for what is computed."""
        if i not in self.values:
            raise FormatError(f"the TFLite file computes {self.tensor(i).name!r}, where we need a constant")
        return self.values[i]

    def weights(self, i: int, perm: Sequence[int]) -> str:
        """A constant of floats as one of ours, its axes in another order."""
        return self.out.constant(f"constant_{i}_{len(self.out.constants)}", self.constant(i).transpose(perm))

    def numbers(self, operator: Operator, name: str, value: Any, kind: type = np.float32) -> str:
        """A constant that belongs to one operator."""
        return self.out.constant(f"{name}_{operator.outputs[0]}", np.array(value, kind))

    def value(self, i: int) -> str:
        """The name of what a tensor holds; a constant that goes with four axes has its channels first."""
        if i in self.names:
            return self.names[i]
        value = self.constant(i)
        if value.ndim == 4:
            value = value.transpose(_CHANNELS_FIRST)
        elif value.size > 1:  # of the last axes only: of the channels
            value = np.moveaxis(value, -1, 0).reshape(value.shape[-1], *value.shape[:-1])
            value = value.reshape(*value.shape, *[1] * (3 - value.ndim))
        return self.out.constant(f"constant_{i}_{len(self.out.constants)}", value)

    def shape(self, i: int) -> tuple[int, ...]:
        """Of four axes: (1, height, width, channels). Raises FormatError for another number of axes."""
        shape = self.tensor(i).shape
        if len(shape) != 4:
            raise FormatError(f"the TFLite file has {self.tensor(i).name!r} of shape {shape}, where we need four axes")
        return shape

    def done(
        self, operator: Operator, op: str, inputs: Sequence[str], activation: int = _NONE, **sizes: Attribute
    ) -> None:
        """Write a node, and the activation that is fused with the operator."""
        (output,) = operator.outputs
        name = self.out.node(op, inputs, f"tensor_{output}", **sizes)
        if activation == _RELU:
            name = self.out.node("Relu", [name], f"tensor_{output}_relu")
        elif activation == _RELU6:
            limits = [self.numbers(operator, limit, value) for limit, value in (("zero", 0), ("six", 6))]
            name = self.out.node("Clip", [name, *limits], f"tensor_{output}_relu6")
        elif activation != _NONE:
            raise FormatError(f"{operator.op.name} has activation {activation}, which we do not convert")
        self.names[output] = name


def _padding(padding: int, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    """Zeros before and after height and width: as TensorFlow's SAME puts them, the odd one after; VALID has none."""
    if padding != _SAME:
        return [0, 0, 0, 0]
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    return [n // 2 for n in total] + [n - n // 2 for n in total]


def _conv(c: _Converter, o: Operator, fields: tuple[int, int, int], perm: Sequence[int], per_group: int) -> None:
    """fields: numbers of the options activation, dilation of the width, dilation of the height."""
    x, w, *bias = o.inputs
    activation, dilation = o.option(fields[0], "<b"), [o.option(fields[2], default=1), o.option(fields[1], default=1)]
    stride = [o.option(2), o.option(1)]
    kernel = [c.constant(w).shape[1], c.constant(w).shape[2]]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = _padding(o.option(0, "<b"), c.shape(x)[1:3], reach, stride)
    groups = c.shape(x)[3] // per_group
    biases = [c.weights(i, (0,)) for i in bias if i >= 0]
    sizes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "pads": pads, "group": groups}
    c.done(o, "Conv", [c.value(x), c.weights(w, perm), *biases], activation, **sizes)


def _conv_2d(c: _Converter, o: Operator) -> None:
    _conv(c, o, (3, 4, 5), (0, 3, 1, 2), c.constant(o.inputs[1]).shape[3])


def _depthwise(c: _Converter, o: Operator) -> None:
    x, w, *bias = o.inputs
    weights, activation = c.constant(w), o.option(4, "<b")
    if weights.shape[1:3] != (1, 1) or (o.option(2), o.option(1)) != (1, 1) or weights.shape[3] != c.shape(x)[3]:
        _conv(c, o, (4, 5, 6), (3, 0, 1, 2), 1)
        return
    # One weight a channel: onnxruntime takes three times as long for that as a convolution.
    scaled = c.out.node(
        "Mul", [c.value(x), c.numbers(o, "scales", weights.reshape(-1, 1, 1))], f"scaled_{o.outputs[0]}"
    )
    shift = c.constant(bias[0]) if bias and bias[0] >= 0 else np.zeros(1)
    c.done(o, "Add", [scaled, c.numbers(o, "shifts", shift.reshape(-1, 1, 1))], activation)


def _fully_connected(c: _Converter, o: Operator) -> None:
    x, w, *bias = o.inputs
    if len(c.tensor(x).shape) != 2:
        raise FormatError(f"FULLY_CONNECTED has an input of shape {c.tensor(x).shape}; we convert two axes")
    biases = [c.weights(i, (0,)) for i in bias if i >= 0]
    c.done(o, "Gemm", [c.value(x), c.weights(w, (0, 1)), *biases], o.option(0, "<b"), transB=1)


def _max_pool(c: _Converter, o: Operator) -> None:
    x = o.inputs[0]
    stride, kernel = [o.option(2), o.option(1)], [o.option(4), o.option(3)]
    pads = _padding(o.option(0, "<b"), c.shape(x)[1:3], kernel, stride)
    c.done(o, "MaxPool", [c.value(x)], o.option(5, "<b"), kernel_shape=kernel, strides=stride, pads=pads)


def _add(c: _Converter, o: Operator) -> None:
    c.done(o, "Add", [c.value(i) for i in o.inputs], o.option(0, "<b"))


def _prelu(c: _Converter, o: Operator) -> None:
    x, slope = o.inputs
    name, (y,) = c.value(x), o.outputs
    # x where it is above 0, slope times x below: faster so than as onnxruntime's PRelu.
    above = c.out.node("Relu", [name], f"above_{y}")
    below = c.out.node("Sub", [name, above], f"below_{y}")
    c.done(o, "Add", [above, c.out.node("Mul", [below, c.value(slope)], f"sloped_{y}")])


def _logistic(c: _Converter, o: Operator) -> None:
    c.done(o, "Sigmoid", [c.value(o.inputs[0])])


def _concatenation(c: _Converter, o: Operator) -> None:
    axes = len(c.tensor(o.outputs[0]).shape)
    axis = o.option(0) % axes
    axis = _CHANNELS_FIRST.index(axis) if axes == 4 else axis
    c.done(o, "Concat", [c.value(i) for i in o.inputs], o.option(1, "<b"), axis=axis)


def _reshape(c: _Converter, o: Operator) -> None:
    x, (y,) = o.inputs[0], o.outputs
    before, after = c.tensor(x).shape, c.tensor(y).shape
    if len(after) == 4 or before[0] != 1 or after[0] != 1:
        raise FormatError(
            f"RESHAPE from {before} to {after}: we convert those that keep the batch and drop the picture"
        )
    name = c.value(x)
    if len(before) == 4:
        name = c.out.node("Transpose", [name], f"channels_last_{y}", perm=_CHANNELS_LAST)
    c.done(o, "Reshape", [name, c.numbers(o, "shape", [0, *after[1:]], np.int64)])  # 0: the axis stays as it is


def _resize(c: _Converter, o: Operator) -> None:
    (_, height, width, _), (_, high, wide, _) = c.shape(o.inputs[0]), c.shape(o.outputs[0])
    scales = c.numbers(o, "scales", [1, 1, high / height, wide / width], np.float32)
    mode = "align_corners" if o.option(2, "<B") else "half_pixel" if o.option(3, "<B") else "asymmetric"
    inputs = [c.value(o.inputs[0]), "", scales]
    c.done(o, "Resize", inputs, mode="linear", coordinate_transformation_mode=mode)


def _depth_to_space(c: _Converter, o: Operator) -> None:
    c.done(o, "DepthToSpace", [c.value(o.inputs[0])], blocksize=o.option(0), mode="DCR")


def _pad(c: _Converter, o: Operator) -> None:
    x, widths = o.inputs
    c.shape(x)
    before, after = c.constant(widths)[list(_CHANNELS_FIRST)].T.tolist()
    c.done(o, "Pad", [c.value(x), c.numbers(o, "pads", [*before, *after], np.int64)])


def _mean(c: _Converter, o: Operator) -> None:
    x, axes = o.inputs
    ours = sorted(_CHANNELS_FIRST.index(axis % len(c.shape(x))) for axis in c.constant(axes).ravel().tolist())
    if ours != [2, 3]:
        raise FormatError(f"MEAN over axes {c.constant(axes).ravel().tolist()}; we convert the mean of a picture")
    c.done(o, "ReduceMean", [c.value(x)], axes=ours, keepdims=o.option(0, "<B"))


def _strided_slice(c: _Converter, o: Operator) -> None:
    x, *rest = o.inputs
    begin, end, step = (c.constant(i).tolist() for i in rest)
    shape, open_begin, open_end = c.shape(x), o.option(0), o.option(1)
    if any(o.option(field) for field in (2, 3, 4)) or len(begin) != 4 or min(step) < 1:
        raise FormatError("STRIDED_SLICE with a mask of axes or steps back, which we do not convert")
    starts = [0 if open_begin >> i & 1 else begin[i] for i in range(4)]
    ends = [shape[i] if open_end >> i & 1 else end[i] for i in range(4)]
    if starts[0] or ends[0] not in (0, 1):
        raise FormatError("STRIDED_SLICE cuts the batch, which we do not convert")
    axes = (1, 2, 3)
    inputs = [
        c.numbers(o, name, [values[i] for i in axes], np.int64) for name, values in (("starts", starts), ("ends", ends))
    ]
    inputs += [c.numbers(o, "axes", [_CHANNELS_FIRST.index(i) for i in axes], np.int64)]
    inputs += [c.numbers(o, "steps", [step[i] for i in axes], np.int64)]
    c.done(o, "Slice", [c.value(x), *inputs])


_CONVERT: dict[Op, Callable[[_Converter, Operator], None]] = {
    Op.ADD: _add,
    Op.CONCATENATION: _concatenation,
    Op.CONV_2D: _conv_2d,
    Op.DEPTHWISE_CONV_2D: _depthwise,
    Op.DEPTH_TO_SPACE: _depth_to_space,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: _logistic,
    Op.MAX_POOL_2D: _max_pool,
    Op.MEAN: _mean,
    Op.PAD: _pad,
    Op.PRELU: _prelu,
    Op.RESHAPE: _reshape,
    Op.RESIZE_BILINEAR: _resize,
    Op.STRIDED_SLICE: _strided_slice,
}
