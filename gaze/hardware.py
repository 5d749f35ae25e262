"""What the machine does: device, number format, compilation, replicas, loaders, seeds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Subset

from gaze import replicas, sharding
from gaze.compilation import MODES, Compilation, with_any_number_of_rows
from gaze.loader import Loader
from gaze.loading import outlive_signals
from gaze.lowered import Lowered
from gaze.recomputing import recompute
from gaze.replicas import ReplicaError
from gaze.seeds import mix
from gaze.types import Record

R = TypeVar("R", bound=Record)

NUMBER_FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Hardware:
    """One process on one device, alone or as one replica of several that torchrun or srun started.

    Args:
        device: "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:1".
        amp_dtype: "bfloat16", or "float16" with a loss scaler; used when the trainer's `amp` is on.
        frozen_dtype: how weights that don't train are kept for a model that runs with `amp`: "amp", cast once beside
            the float32 ones, or "float32", cast in each forward pass, and torch's own attention. Compiled and sharded
            models do the latter.
        distributed: join the replicas that were started; equal gradients on all of them (DDP).
        launcher: what starts replicas: "torchrun", or "slurm" for tasks that srun starts.
        timeout_s: seconds after which a step that waits for another replica fails.
        shard: replicas also divide the weights and the optimizer's state among themselves (FSDP2).
        shard_units: parts of the model whose weights are gathered and let go together: globs over names of modules, or
            the parameters from which a member of a ModuleList or Sequential is one.
        find_unused_parameters: DDP option for models some of whose trainable parts get no gradient.
        sync_batchnorm: replicas on CUDA share the statistics of their batches, which small batches need.
        checkpoint_activations: modules that keep only their inputs for the backward pass, and compute the rest again there,
            for what does not fit: a glob over names, such as "backbone.vit.blocks.*", or several.
        compile: None, or a torch.compile backend such as "inductor". Validation is not compiled.
        compile_mode: of inductor: None, "default" or "max-autotune-no-cudagraphs". Modes with CUDA graphs keep results where the
            next step writes, and figures of a step are read later.
        channels_last: store images and convolution weights as NHWC.
        workers: loader processes per replica; 0 loads in the main process. The samples do not depend on it.
        deterministic: refuse operations whose result varies from run to run; "warn" only says which there are.
        augment_on: where pictures are changed at random: "device" changes a whole batch there, "loader" each sample in the
            loader; "auto" takes the device if that is CUDA, for on a CPU the loader's processes share the work. What is
            drawn is the same, and so are pictures, to the rounding of 8 bits.
        threads: CPU threads for operations; None leaves torch's choice.
        loader_timeout_s: seconds without a batch after which a loader process counts as hung; None: never.

    Raises:
        ValueError: an unknown number format, no such device, or torchrun and `distributed` disagree.
    """

    def __init__(
        self,
        device: str = "auto",
        amp_dtype: str = "bfloat16",
        frozen_dtype: str = "amp",
        distributed: bool = False,
        launcher: str = "torchrun",
        timeout_s: float = 600.0,
        shard: bool = False,
        shard_units: int | Sequence[str] = 1_000_000,
        find_unused_parameters: bool = False,
        sync_batchnorm: bool = False,
        checkpoint_activations: str | Sequence[str] = (),
        compile: str | None = None,
        compile_mode: str | None = None,
        channels_last: bool = False,
        workers: int = 2,
        augment_on: str = "auto",
        deterministic: bool | str = False,
        threads: int | None = None,
        loader_timeout_s: float | None = 600.0,
    ) -> None:
        if amp_dtype not in NUMBER_FORMATS:
            raise ValueError(f"hardware.amp_dtype is {amp_dtype!r}; expected one of {', '.join(NUMBER_FORMATS)}")
        if augment_on not in ("auto", "device", "loader"):
            raise ValueError(f"hardware.augment_on is {augment_on!r}; expected auto, device or loader")
        if frozen_dtype not in ("amp", "float32"):
            raise ValueError(f"hardware.frozen_dtype is {frozen_dtype!r}; expected amp or float32")
        if deterministic not in (True, False, "warn"):
            raise ValueError(f"hardware.deterministic is {deterministic!r}; expected true, false or warn")
        if loader_timeout_s is not None and loader_timeout_s <= 0:
            raise ValueError(f"hardware.loader_timeout_s is {loader_timeout_s}; expected seconds above 0, or null")
        self.amp_dtype, self.loader_timeout_s = NUMBER_FORMATS[amp_dtype], loader_timeout_s
        self.keep_lowered = frozen_dtype == "amp"
        if compile_mode is not None and (compile_mode not in MODES or compile != "inductor"):
            raise ValueError(
                f"hardware.compile_mode is {compile_mode!r} with hardware.compile={compile}; expected null, or with inductor one "
                f"of {', '.join(MODES)}"
            )
        self.find_unused_parameters, self.compile, self.compile_mode = find_unused_parameters, compile, compile_mode
        self.compilation = Compilation() if compile else None
        given = checkpoint_activations
        self.checkpoint_activations = [given] if isinstance(given, str) else [*given]
        if self.checkpoint_activations and compile == "eager":
            raise ValueError(
                "hardware.compile is 'eager' with hardware.checkpoint_activations, which would then drop other units when they "
                "are computed again; expected null, aot_eager or inductor"
            )
        self.channels_last, self.workers, self.sync_batchnorm = channels_last, workers, sync_batchnorm
        if threads is not None:
            torch.set_num_threads(threads)
        if shard and not distributed:
            raise ValueError(
                "hardware.shard is true but hardware.distributed is false; use hardware=fsdp under torchrun"
            )
        self.shard, self.shard_units, self.timeout_s = shard, shard_units, timeout_s
        self.rank, self.replicas, self.local_rank = replicas.place(distributed, launcher)
        self.device = _device(device, self.local_rank)
        self.augments = augment_on == "device" or (augment_on == "auto" and self.device.type == "cuda")
        if sync_batchnorm and self.replicas > 1 and self.device.type != "cuda":
            raise ValueError("hardware.sync_batchnorm needs CUDA; leave it out on the CPU")
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(bool(deterministic), warn_only=deterministic == "warn")
        torch.backends.cudnn.benchmark = not deterministic
        self.store = replicas.join(self.device, timeout_s) if distributed and not dist.is_initialized() else None

    @property
    def main(self) -> bool:
        """Is this the replica that writes, logs and shows progress?"""
        return self.rank == 0

    @property
    def runs_along(self) -> bool:
        """Does this replica have to run the model whenever the first one does? All do where weights are divided."""
        return self.main or self.shard

    def settle(self, model: nn.Module) -> nn.Module:
        """The model on the device, with its weights divided if asked for. To be done before an optimizer holds them."""
        if self.sync_batchnorm and self.replicas > 1:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # swaps the layers inside; their names stay
        recompute(model, self.checkpoint_activations, self.compile is not None)
        if self.shard:
            from torch.distributed.device_mesh import init_device_mesh

            return sharding.shard(model, init_device_mesh(self.device.type, (self.replicas,)), self.shard_units)
        return model.to(self.device)

    def place(self, thing: R) -> R:
        """A batch on the device, its 8-bit images as float in [0, 1]."""
        placed = thing.map(self._placed)
        if self.compile:
            with_any_number_of_rows(placed)
        return placed

    def prepare(self, model: nn.Module) -> nn.Module:
        """The module to call for training: `model`, on the device, compiled and replicated as asked.

        DDP hooks only the parameters that require gradients when it wraps, so call this again after
        any of them is frozen or thawed.
        """
        if self.compilation is not None:
            self.compilation.renew()
        net = self.compiled(model)
        if self.shard:
            sharding.check_numbers(model)
        elif self.replicas > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            net = DistributedDataParallel(
                net, device_ids=ids, find_unused_parameters=self.find_unused_parameters, gradient_as_bucket_view=True
            )
        return net

    def compiled(self, model: nn.Module) -> nn.Module:
        """`model` on the device in the memory format asked for, compiled if asked for; no replicas."""
        if not self.shard:  # or `settle` has put it there
            model.to(self.device)
        if self.channels_last and not self.shard:  # FSDP2 divides rows of contiguous weights only
            model.to(memory_format=torch.channels_last)
        if self.compilation is None:
            return model
        self.compilation.expect()
        net: nn.Module = torch.compile(model, backend=self.compile, mode=self.compile_mode)  # type: ignore[assignment, arg-type]
        return net

    def autocast(self, enabled: bool) -> torch.autocast:
        """The context in which the model runs."""
        return torch.autocast(self.device.type, dtype=self.amp_dtype, enabled=enabled)

    def lowered(self, model: nn.Module, amp: bool, everything: bool = False) -> contextlib.AbstractContextManager[None]:
        """The context, inside that of `autocast`, in which `model` runs from weights that are cast once; to be kept.

        Args:
            everything: not only what is frozen; for a time in which no weight trains.
        """
        if not amp or not self.keep_lowered or self.compile or sharding.is_sharded(model):
            return contextlib.nullcontext()
        return Lowered(model, self.amp_dtype, everything)

    def scaled(self, amp: bool) -> bool:
        """Does this number format need its loss scaled?"""
        return amp and self.amp_dtype == torch.float16

    def accumulating(self, net: nn.Module, more: bool) -> contextlib.AbstractContextManager[Any]:
        """The context of a backward pass after which more may follow in the same step: gradients are shared once."""
        if self.replicas == 1 and not self.shard:
            return contextlib.nullcontext()
        if isinstance(net, DistributedDataParallel) and more:
            return net.no_sync()
        sharded = getattr(net, "_orig_mod", net)  # below what torch.compile made of it
        if sharding.is_sharded(sharded):
            sharded.set_requires_gradient_sync(not more)  # type: ignore[operator]
        return contextlib.nullcontext()

    def seed(self, *numbers: int) -> None:
        """Seed what the model draws (dropout, drop path) from these numbers and the rank."""
        seed = mix(*numbers, self.rank)
        # torch.manual_seed also seeds backends that are not there, and notes the stack for each: 0.14 ms and more
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def loader(self, dataset: TorchDataset, **kwargs: Any) -> Loader:
        """A loader over `dataset` that pins memory for CUDA and keeps its workers."""
        return Loader(
            dataset,
            patience_s=self.loader_timeout_s,
            num_workers=self.workers,
            worker_init_fn=outlive_signals,
            persistent_workers=self.workers > 0,
            pin_memory=self.device.type == "cuda",
            # Its own generator: the loader draws a base seed per epoch, and must not draw it from the model's.
            generator=torch.Generator().manual_seed(0),
            **kwargs,
        )

    def share(self, dataset: TorchDataset) -> TorchDataset:
        """This replica's strided part of a dataset. Nothing is padded: every sample is counted once."""
        if self.replicas == 1:
            return dataset
        return Subset(dataset, range(self.rank, len(dataset), self.replicas))  # type: ignore[arg-type]

    def agree(self, flag: int) -> int:
        """The largest flag of all replicas."""
        if self.replicas == 1:
            return flag
        value = torch.tensor(flag)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value)

    def least(self, value: Tensor) -> Tensor:
        """The smallest of all replicas' values, number by number."""
        if self.replicas > 1:
            dist.all_reduce(value, op=dist.ReduceOp.MIN)
        return value

    def total(self, value: Tensor) -> Tensor:
        """The sum over all replicas."""
        if self.replicas > 1:
            dist.all_reduce(value)
        return value

    def share_buffers(self, model: nn.Module) -> None:
        """Give every replica the first one's buffers; each has its own batch statistics until the next forward pass."""
        if self.replicas > 1:
            sharding.share_buffers(model)

    def idle_passes(self, batches: Iterable[Any]) -> int:
        """Forward passes to make after these batches so that other replicas, which may have one more, can make theirs.

        Where weights are divided no replica can run the model alone.
        """
        own = len(batches) if self.shard and isinstance(batches, Sized) else 0
        return self.agree(own) - own if self.shard else 0

    def barrier(self) -> None:
        """Wait for the other replicas."""
        if self.replicas > 1:
            dist.barrier()

    def _placed(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self.device, non_blocking=True)  # waits for nothing where the memory is pinned
        if tensor.dtype != torch.uint8:
            return tensor
        nhwc = self.channels_last and tensor.dim() == 4  # as decoded pictures are collated; else planes are made here
        order = torch.channels_last if nhwc else torch.contiguous_format
        return tensor.to(torch.float32, memory_format=order).div_(255)

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Train with the other replicas while inside, and leave them at the end.

        Raises:
            ReplicaError: one of them died or hangs; the message says which.
        """
        try:
            yield
        except RuntimeError as error:
            if self.store is None or not replicas.broke_off(error):
                raise
            raise ReplicaError(replicas.told(self.store, self.rank, self.replicas, self.timeout_s)) from error
        finally:
            self.close()

    def close(self) -> None:
        """Leave the group of replicas."""
        if self.replicas > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"hardware.device is {name!r}; expected auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"hardware.device is {name!r} but torch sees no CUDA device; use hardware=cpu")
        only = torch.cuda.device_count() == 1  # SLURM shows each of its tasks no other device than its own
        device = torch.device("cuda", (0 if only else local_rank) if device.index is None else device.index)
        torch.cuda.set_device(device)
    return device
