"""MediaPipe's own interpreter of TFLite, the one that its package runs, as the reference for single networks."""

from __future__ import annotations

from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.python import CalculatorGraph, ImageFormat, ImageFrame, packet_creator, packet_getter
from mediapipe.python._framework_bindings import resource_util

GRAPH = """
input_stream: "picture"
node {{
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:picture" output_stream: "TENSORS:pixels"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {side} output_tensor_height: {side}
    output_tensor_float_range {{ min: {low} max: {high} }} }} }}
}}
node {{
  calculator: "InferenceCalculator" input_stream: "TENSORS:pixels" output_stream: "TENSORS:answers"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{
    model_path: "mediapipe/modules/{source}" delegate {{ xnnpack {{}} }} }} }}
}}
node {{
  calculator: "SplitTensorVectorCalculator" input_stream: "answers" {streams}
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{ {ranges} }} }}
}}
"""
FLOATS = """
node {{ calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:answer_{i}" output_stream: "FLOATS:floats_{i}" }}
"""


def answers(network, pictures, outputs):
    """What the network's TFLite file gives for pictures (B, side, side, 3) of bytes: so many outputs, each (B, N)."""
    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
    text = GRAPH.format(
        side=network.side,
        low=network.pixels[0],
        high=network.pixels[1],
        source=network.source,
        streams=" ".join(f'output_stream: "answer_{i}"' for i in range(outputs)),
        ranges=" ".join(f"ranges {{ begin: {i} end: {i + 1} }}" for i in range(outputs)),
    )
    text += "".join(FLOATS.format(i=i) for i in range(outputs))
    found = {f"floats_{i}": [] for i in range(outputs)}
    graph = CalculatorGraph(graph_config=text)
    for stream in found:
        graph.observe_output_stream(
            stream, lambda name, packet: found[name].append(packet_getter.get_float_list(packet))
        )
    graph.start_run()
    for at, picture in enumerate(pictures):
        frame = ImageFrame(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        graph.add_packet_to_input_stream("picture", packet_creator.create_image_frame(frame).at(at))
    graph.wait_until_idle()
    graph.close()
    return [np.array(lists) for lists in found.values()]
