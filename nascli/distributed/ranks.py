"""The processes that work on a run together, and what they say to each other."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nascli.distributed.outcome import named
from nascli.distributed.share import WHOLE, Share
from nascli.errors import LostRanks, NascliError

BUCKET_BYTES = 1 << 26
"""The most bytes of tensors that are summed in one exchange."""


@dataclass(frozen=True)
class Ranks:
    """All processes of a run, seen from number `rank` of `count`. Alone it exchanges nothing.

    Every method but `share` and `first` waits for the other ranks, which must call it, too, in the same order. Raises
    LostRanks where another rank has ended or does not answer in time.

    sent: the bytes of what this rank has put into exchanges, by their purpose.
    """

    rank: int = 0
    count: int = 1
    seconds: float = 600.0
    """How long an exchange may take."""
    sent: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """The part of a batch that is for this rank."""
        return Share(self.rank, self.count) if self.count > 1 else WHOLE

    def sum_(self, tensors: Sequence[Tensor], purpose: str) -> None:
        """Replace tensors by their sums over the ranks, the same to the bit on all. Few exchanges for many tensors."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().flatten() for tensor in bucket])
            self._reduce(flat, purpose)
            for tensor, total in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.detach().copy_(total.view(tensor.shape))

    def take_from_first_(self, tensors: Sequence[Tensor], purpose: str) -> None:
        """Replace tensors by those of the first rank."""
        if not self.first:
            for tensor in tensors:
                tensor.detach().zero_()
        self.sum_(tensors, purpose)

    def summed(self, tensor: Tensor, purpose: str) -> Tensor:
        """The sum over the ranks, without gradient."""
        if self.count == 1:
            return tensor.detach()
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        self._reduce(total, purpose)
        return total

    def any(self, flag: bool) -> bool:
        """Whether it is true on some rank. Goes past the GPU, so that it need not wait for it."""
        if self.count == 1:
            return flag
        found = torch.tensor([int(flag)])
        self._reduce(found, "flags", dist.ReduceOp.MAX)
        return bool(found)

    def meet(self) -> None:
        """Wait until all ranks have come so far."""
        self.any(False)

    def from_first(self, value: Callable[[], Any], purpose: str = "settings") -> Any:
        """What `value` gives on the first rank, which alone calls it; of what JSON can hold."""
        if self.count == 1:
            return value()
        found = json.dumps(value()).encode() if self.first else b""
        return json.loads(self.bytes_from_first(found, purpose))

    def bytes_from_first(self, data: bytes, purpose: str) -> bytes:
        """The bytes that the first rank gives."""
        if self.count == 1:
            return data
        length = torch.tensor([len(data)])
        with _told():
            self._wait(dist.broadcast(length, 0, async_op=True))
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
            if not self.first:
                buffer = torch.empty(int(length), dtype=torch.uint8)
            if int(length):
                self._wait(dist.broadcast(buffer, 0, async_op=True))
        if self.first:
            self.sent[purpose] += len(data)
        return buffer.numpy().tobytes()

    def gathered(self, value: Any, purpose: str) -> list[Any]:
        """What every rank gives, in the order of the ranks; of what JSON can hold."""
        if self.count == 1:
            return [value]
        return [json.loads(part) for part in self.bytes_gathered(json.dumps(value).encode(), purpose)]

    def bytes_gathered(self, data: bytes, purpose: str) -> list[bytes]:
        """The bytes that every rank gives, in the order of the ranks."""
        if self.count == 1:
            return [data]
        lengths = [torch.empty(1, dtype=torch.int64) for _ in range(self.count)]
        with _told():
            self._wait(dist.all_gather(lengths, torch.tensor([len(data)]), async_op=True))
            longest = max(1, *map(int, lengths))
            padded = torch.frombuffer(bytearray(data.ljust(longest, b"\0")), dtype=torch.uint8)
            found = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.count)]
            self._wait(dist.all_gather(found, padded, async_op=True))
        self.sent[purpose] += longest
        return [one.numpy().tobytes()[: int(length)] for one, length in zip(found, lengths, strict=True)]

    def check_alike(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Raise NascliError, which names the ranks, where tensors are not the same to the bit on all ranks."""
        if self.count == 1:
            return
        digests = self.gathered(digest(tensors), "checks")
        if len(set(digests)) == 1:
            return
        usual, times = Counter(digests).most_common(1)[0]
        others = [rank for rank, one in enumerate(digests) if one != usual]
        who = f"{named(others)} of {self.count} {'differs' if len(others) == 1 else 'differ'} from the others"
        if 2 * times <= self.count:
            who = f"{named(range(self.count))} have no majority"
        raise NascliError(f"not all ranks have the same {what}: {who}; go on from the last checkpoint with --resume")

    def _reduce(self, tensor: Tensor, purpose: str, how: Any = dist.ReduceOp.SUM) -> None:
        self.sent[purpose] += tensor.numel() * tensor.element_size()
        with _told():
            self._wait(dist.all_reduce(tensor, how, async_op=True), queued=tensor.is_cuda)

    def _wait(self, work: Any, *, queued: bool = False) -> None:
        """Until an exchange is done; one between GPUs is only queued, behind what they compute before.

        With a time limit, nccl would make the processor wait for the GPU. Ranks that don't answer are found all the
        same, as every step exchanges flags past the GPU.
        """
        work.wait() if queued else work.wait(timedelta(seconds=self.seconds))


ALONE = Ranks()

_joined = [ALONE]


def world() -> Ranks:
    """The ranks of this process: alone, unless it has `joined` others."""
    return _joined[-1]


@contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """Within the block, `world` gives these ranks."""
    _joined.append(ranks)
    try:
        yield
    finally:
        _joined.pop()


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names and values."""
    found = sha256()
    for name, tensor in tensors.items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type and device, in their order, of BUCKET_BYTES at most unless one alone has more."""
    bucket: list[Tensor] = []
    room = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if bucket and ((bucket[0].dtype, bucket[0].device) != (tensor.dtype, tensor.device) or size > room):
            yield bucket
            bucket = []
        if not bucket:
            room = BUCKET_BYTES
        bucket.append(tensor)
        room -= size
    if bucket:
        yield bucket


@contextmanager
def _told() -> Iterator[None]:
    """Turn the failure of an exchange into LostRanks."""
    try:
        yield
    except RuntimeError as error:  # of gloo and of nccl, without a class of its own in all cases
        raise LostRanks(" ".join(str(error).split())) from error
