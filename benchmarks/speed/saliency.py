"""Mean saliency of every unit: closed form beside autograd and Captum, the share of the machine's sgemm, memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks import table
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network

from .engines import N_GENES, paper_sized
from .rounds import median, ratio, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from modulae.core.data.cells import Cells
    from modulae.core.model.orthogonal import OrthogonalNetwork


class Encoder(torch.nn.Module):
    """The encoder as modules; `clip` makes its backward pass guided."""

    def __init__(self, network: OrthogonalNetwork, *, clip: bool) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*w.shape[::-1]) for w in (network.w1, network.w2))
        for layer, w, b in zip(self.layers, (network.w1, network.w2), (network.b1, network.b2), strict=True):
            layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
        self.clip = clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cells × genes → cells × units."""
        for layer in self.layers:
            x = torch.nn.functional.softplus(layer(x))
            if self.clip:
                x.register_hook(lambda gradient: gradient.clamp(min=0))
        return x


def by_autograd(network: OrthogonalNetwork, cells: Cells, *, retain: bool) -> torch.Tensor:
    """Mean over cells of the guided |S|, unit by unit, a block of 256 cells at a time."""
    encoder, total = Encoder(network, clip=True), torch.zeros(network.n_units, network.n_genes)
    for _, block in cells.blocks(256):
        x = torch.from_numpy(block.inputs()).requires_grad_()
        units = encoder(x)
        for unit in range(network.n_units):
            if not retain:
                units = encoder(x)
            (gradient,) = torch.autograd.grad(units[:, unit].sum(), x, retain_graph=retain)
            total[unit] += gradient.abs().sum(dim=0)
    return total / len(cells)


def by_captum(network: OrthogonalNetwork, cells: Cells) -> torch.Tensor:
    """The same without clipping, through Captum's Saliency."""
    import captum.attr

    explain = captum.attr.Saliency(Encoder(network, clip=False))
    total = torch.zeros(network.n_units, network.n_genes)
    for _, block in cells.blocks(256):
        x = torch.from_numpy(block.inputs()).requires_grad_()
        for unit in range(network.n_units):
            total[unit] += explain.attribute(x, target=unit, abs=True).sum(dim=0)
    return total / len(cells)


def peak_memory(do: Callable[[], Any]) -> float:
    """Most megabytes that NumPy held on the way, beyond what was there before."""
    tracemalloc.start()
    do()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def run(*, short: bool) -> str:
    """Take turns; the results must agree."""
    cells = paper_sized()
    cells = cells.take(np.arange(256 if short else len(cells)))
    config = Config(n_latent=8 if short else 64)
    network = initial_network(config, np.asarray(cells.counts.mean(axis=0)).ravel() + 1e-3, np.random.default_rng(0))
    guided = mean_saliency(network, cells, method="guided", signed=False)[0].T
    np.testing.assert_allclose(guided, by_autograd(network, cells, retain=True).numpy(), rtol=1e-3, atol=1e-7)
    rng = np.random.default_rng(0)
    left, right = (rng.random(shape, dtype=np.float32) for shape in ((2048, 128), (128, N_GENES)))
    out = np.empty((2048, N_GENES), dtype=np.float32)

    def ours(method: str, *, signed: bool) -> Callable[[], Any]:
        return lambda: mean_saliency(network, cells, method=method, signed=signed)  # type: ignore[arg-type]

    alternatives: dict[str, Callable[[], Any]] = {
        "autograd with clipping hooks, a unit at a time": lambda: by_autograd(network, cells, retain=False),
        "the same, graph retained": lambda: by_autograd(network, cells, retain=True),
        "Captum, absolute gradient, a unit at a time": lambda: by_captum(network, cells),
        'modulae, `method="guided", signed=False`': ours("guided", signed=False),
        'modulae, `method="gradient", signed=False`': ours("gradient", signed=False),
        'modulae, `method="gradient"` (signed)': ours("gradient", signed=True),
        'modulae, `method="input_x_gradient"` (signed)': ours("input_x_gradient", signed=True),
        'modulae, `method="integrated_gradients"` (signed)': ours("integrated_gradients", signed=True),
        "sgemm": lambda: np.matmul(left, right, out=out),
    }
    seconds = take_turns(alternatives, n_rounds=1 if short else 5)
    sgemm = left.shape[0] * left.shape[1] * N_GENES / min(seconds.pop("sgemm"))
    used = {"guided": float((network.w2 > 0).sum()), "gradient": float(network.w2.size)}
    rows = []
    for name, found in seconds.items():
        multiplied = next((n for kind, n in used.items() if f'"{kind}", signed=False' in name), None)
        share = len(cells) * multiplied * N_GENES / median(found) / sgemm if multiplied else None
        rows.append(
            {
                "what": name,
                "seconds": f"{median(found):.3f}",
                "times faster than autograd": ratio(seconds, name, next(iter(seconds))),
                "share of sgemm": f"{share:.0%}" if share else "",
                "peak memory, MB": f"{peak_memory(alternatives[name]):.0f}" if "modulae" in name else "",
            }
        )
    words = (
        f"Mean saliency of {network.n_units} units over {len(cells)} cells × {N_GENES} genes, all threads. Clipped "
        "autograd and the closed form agree to 0.1 %. The share of sgemm is that of the multiplications the closed "
        "form needs, in one large NumPy product on the same machine. Memory is what NumPy allocated, the result "
        "included."
    )
    return table.write("saliency", "Saliency", words, rows, short=short)
