"""How torch is set while a job trains or answers: threads, the device that it makes tensors on, and its kernels.

All three decide bits and stand in the recipe, so whoever carries one out sets them around the method, which makes its
tensors as ever: they come to be on the device, as :func:`torch.get_default_device` says. A generator does not:
``torch.Generator(torch.get_default_device())``; and a loader that shuffles needs such a one.

Deterministic, an operation that has no repeatable kernel on that device is an error. Where a recipe says otherwise, any
kernel goes, and equal bits are not promised.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from disgorge.errors import ExecutionFailed
from disgorge.training.sandbox.nvidia import DEVICE

if TYPE_CHECKING:
    pass

DEVICES = ("cpu", DEVICE)
"""What a recipe may name."""
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""Without it cuBLAS is not deterministic, and torch refuses to multiply."""
_NO_KERNEL = "deterministic implementation"
"""What torch says, among other words, of an operation that it has no repeatable kernel for."""


@contextmanager
def torch_set(*, threads: int, device: str = "cpu", deterministic: bool = True) -> Iterator[None]:
    """Hold torch to these settings inside the block, and put back those that were.

    Where torch is not installed, a method can do without it and there is nothing to set. Nor is there where it is not
    loaded yet, trains on the CPU, and the environment says the same count of threads, as it does in workers: torch
    takes that when it is loaded, and a method that needs no torch need not wait for it.

    Raises :class:`ExecutionFailed` for an unknown device, where torch can use no GPU and one is asked for, and for an
    operation that has no deterministic kernel.
    """
    if device not in DEVICES:
        raise ExecutionFailed(f"unknown device {device!r}; a recipe names {' or '.join(DEVICES)}")
    unloaded = "torch" not in sys.modules and os.environ.get("OMP_NUM_THREADS") == str(threads)
    if device != DEVICE and (unloaded or find_spec("torch") is None):
        yield
        return
    if device == DEVICE and deterministic:
        os.environ.setdefault(*_WORKSPACE)  # read when cuBLAS is first used
    with ExitStack() as stack:
        _set(stack, threads=threads, device=device, deterministic=deterministic)
        try:
            yield
        except RuntimeError as error:
            if not deterministic or _NO_KERNEL not in str(error):
                raise
            said = str(error).partition(". ")[0]
            raise ExecutionFailed(
                f"{said}; use another operation, or write `deterministic: false` in the model file, which is another "
                "recipe and promises no equal bits"
            ) from error


def _set(stack: ExitStack, *, threads: int, device: str, deterministic: bool) -> None:
    """Set torch, and have the stack put back what was.

    By the debug mode: ``torch.use_deterministic_algorithms`` loads torch's compiler first, a second that nothing needs.
    """
    import torch

    stack.callback(torch.set_num_threads, torch.get_num_threads())
    stack.callback(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode())
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    if device == DEVICE:
        if not torch.cuda.is_available():
            build = (
                f"torch {torch.__version__} is built without CUDA" if torch.version.cuda is None else "torch sees none"
            )
            raise ExecutionFailed(f"its recipe trains on device {DEVICE}, and {build}; install a build for this driver")
        stack.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
        torch.backends.cudnn.benchmark = False  # which takes the fastest kernel of the moment
        stack.enter_context(torch.device(device))


def gpu_in_use() -> dict[str, str]:
    """Return the GPU that torch uses in this process, and the versions of CUDA and cuDNN that it was built with."""
    import torch

    capability = ".".join(map(str, torch.cuda.get_device_capability()))
    found = {"model": torch.cuda.get_device_name(), "capability": capability, "cuda": str(torch.version.cuda)}
    return found | {"cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
