"""Training in several processes, as `torchrun` starts them: one per GPU (or CPU core), each with samples of its own.

Gradients are averaged between the backward pass and the optimiser's step. That is what DistributedDataParallel does,
but its hooks hang on forward(), and MeshNet is trained by its parts. In one process every function here does nothing.
"""
from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..core.errors import DeviceError
from ..core.network.torch_engine import torch_device

APART = 1_000_003  # between the seeds of two processes


def start(device: str) -> str:
    """Joins the other processes, if torchrun started any; device: auto | cpu | cuda | rocm | mps. Returns this
    process's own device in torch's words. Raises DeviceError for one that is not there."""
    name, count = torch_device(device), int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return name
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if name == "mps":
        raise DeviceError("Apple's GPU trains in one process.", "Start without torchrun, or choose --device cpu.")
    if name == "cuda":
        if local >= torch.cuda.device_count():
            raise DeviceError(f"There are {torch.cuda.device_count()} GPUs for more processes than that.",
                              f"Use torchrun --nproc_per_node {torch.cuda.device_count()}, or --device cpu.")
        torch.cuda.set_device(local)
        name = f"cuda:{local}"
    if not dist.is_initialized():
        dist.init_process_group("nccl" if name != "cpu" else "gloo")
    return name


def stop() -> None:
    """Leaves the other processes; every process calls it at the end."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def rank() -> int:
    """0 in the process that writes files and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def share_weights(model: nn.Module) -> None:
    """Everybody takes the first process's parameters and buffers."""
    if dist.is_initialized():
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The mean of all processes' gradients takes the place of each one's own. All must have used the same ones."""
    if dist.is_initialized():
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(mean.view_as(gradient))


def from_first(value: float, like: Tensor) -> float:
    """The first process's value; like: any tensor on the device that the processes talk through."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=like.device)
    dist.broadcast(shared, 0)
    return shared.item()
