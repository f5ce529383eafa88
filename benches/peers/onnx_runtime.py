"""The plain network exported to ONNX, with the draws as its input, in ONNX Runtime on a CPU or with CUDA."""
import io
import logging
from dataclasses import dataclass

import onnxruntime
import torch

from plain import Plain

# The exporter misses torchvision's operations, which are not used.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


@dataclass
class Options:
    convolution: str = "mkldnn"  # ConvTranspose; or "product": MatMul and sums of taps
    part: int = 4  # images that are decoded at once on a CPU
    drawn: int = 0  # up to this batch only the prior's drawn neurons are computed


class Part(torch.nn.Module):
    """One method of a module as a module of its own, to be exported."""

    def __init__(self, network, method):
        super().__init__()
        self.network, self.method = network, method

    def forward(self, x):
        return getattr(self.network, self.method)(x)


class OnnxRuntime:
    def __init__(self, model, batch, device, threads, options=None):
        o = options or Options()
        self.part = min(batch, o.part) if device.type == "cpu" else batch
        self.provider = "CPUExecutionProvider" if device.type == "cpu" else "CUDAExecutionProvider"
        network = Plain(model, o.convolution, batch <= o.drawn)
        draws = model.no_draws(batch)
        if self.part == batch:
            self.whole = self.session(network, "forward", draws, threads)
        else:
            self.whole = None
            self.sample = self.session(network, "sample", draws, threads)
            self.decode = self.session(network, "decode", torch.zeros(model.steps, self.part, model.latent), threads)

    def session(self, network, method, example, threads):
        graph = io.BytesIO()
        program = torch.onnx.export(Part(network, method), (example,), dynamo=True, verbose=False)
        program.save(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(graph.getvalue(), options, providers=[self.provider])
        if session.get_providers()[0] != self.provider:
            raise RuntimeError(f"ONNX Runtime has no {self.provider}; on CUDA it needs onnxruntime-gpu")
        name = session.get_inputs()[0].name
        return lambda x: session.run(None, {name: x})[0]

    def __call__(self, draws):
        if self.whole:
            return torch.from_numpy(self.whole(draws.numpy()))
        z = torch.from_numpy(self.sample(draws.numpy()))
        return torch.cat([torch.from_numpy(self.decode(part.contiguous().numpy())) for part in z.split(self.part, 1)])
