"""The decoder of a checkpoint as an ONNX graph: python web/peers/export.py web/dist/models/faces.safetensors 16 decoder.onnx

The same graph as benches/peers/onnx_runtime.py takes, for a batch of so many images, from latent spikes f32 [T, batch, C]."""
import logging
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benches/peers"))
from model import Model  # noqa: E402
from plain import Plain  # noqa: E402

logging.getLogger("torch.onnx").setLevel(logging.ERROR)


class Decoder(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return self.network.decode(z)


checkpoint, batch, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = Model(checkpoint)
example = torch.zeros(model.steps, batch, model.latent)
program = torch.onnx.export(
    Decoder(Plain(model)).eval(), (example,), dynamo=True, verbose=False, input_names=["latents"], output_names=["images"]
)
program.save(out)
