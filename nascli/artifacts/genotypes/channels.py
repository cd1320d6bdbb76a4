"""The genotype of channels: which input channels of a super-network's convolutions are kept."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from nascli.errors import UsageError, unknown
from nascli.faults import Fault, custom_error, shorten
from nascli.frozen import Frozen, require_kind
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from nascli.spaces.network_settings import DataShape
from nascli.supernets import MOST_BLOCKS, MOST_WIDTH, no_pooling_paths, supernet

MOST_STAGES = max(len(row.stages) for row in SUPERNETS.values())

_CHANNEL = "(?:0|[1-9][0-9]{0,8})"
_RANGES = f"^({_CHANNEL}(-{_CHANNEL})?(,{_CHANNEL}(-{_CHANNEL})?)*)?$"
_RANGE = re.compile(f"(?P<first>{_CHANNEL})(?:-(?P<last>{_CHANNEL}))?")


def ranges(channels: Iterable[int]) -> str:
    """Channels, in rising order, as text: (0, 1, 2, 5) as "0-2,5"; none as "".

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts = []
    for _, run in groupby(enumerate(channels), key=lambda pair: pair[1] - pair[0]):
        members = [channel for _, channel in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ",".join(parts)


def parse_ranges(text: str, size: int) -> tuple[range, ...]:
    """The inverse of `ranges`, as Python's ranges: rising, without overlaps, all below `size`.

    Raises ValueError that says what is wrong.

    >>> parse_ranges("0-2,5", 6)
    (range(0, 3), range(5, 6))
    """
    found: list[range] = []
    for part in text.split(",") if text else []:
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{shorten(part)} is neither a channel nor a range such as 0-12")
        start, end = int(match["first"]), int(match["last"] or match["first"])
        if end >= size:
            raise ValueError(f"channel {end} is not there: the convolution has {size}, counted from 0")
        if start > end or (found and start < found[-1].stop):
            raise ValueError(f"{part!r} does not come after what is before it; channels rise")
        found.append(range(start, end + 1))
    return tuple(found)


class ChannelsGenotype(Frozen):
    """The kept input channels of every masked convolution of a super-network, as ranges: {"stage0.…": "0-12,14"}.

    Name, width and blocks per stage, and whether it has pooling paths, say what the super-network is. Its stem and
    classifier follow from the data and are not part of the genotype.
    """

    model_config = ConfigDict(json_schema_extra=require_kind)

    leaves_open: ClassVar[type[DataShape]] = DataShape
    """What else its network depends on."""

    kind: Literal["channels"] = "channels"
    supernet: str = Field(json_schema_extra={"enum": [*SUPERNETS]})
    width: int = Field(ge=1, le=MOST_WIDTH)
    stages: tuple[Annotated[int, Field(ge=1, le=MOST_BLOCKS)], ...] = Field(max_length=MOST_STAGES)
    kept: Mapping[str, Annotated[str, Field(json_schema_extra={"pattern": _RANGES})]]
    pooling_paths: bool = False

    @model_validator(mode="after")
    def _fits_the_supernet(self) -> Self:
        if self.supernet not in SUPERNETS:
            raise custom_error([(("supernet",), unknown("super-network", self.supernet, SUPERNETS))])
        if len(self.stages) != (count := len(SUPERNETS[self.supernet].stages)):
            raise custom_error([(("stages",), f"has {len(self.stages)} stages; {self.supernet} has {count}")])
        if self.pooling_paths and not SUPERNETS[self.supernet].pools:
            raise custom_error([(("pooling_paths",), no_pooling_paths(self.supernet))])
        try:
            sizes = {name: sum(conv.sources) for name, conv in self._nominal.masked.items()}
        except UsageError as error:
            raise custom_error([(("width",), str(error))]) from None
        faults: list[Fault] = [(("kept", name), "is missing") for name in sizes if name not in self.kept]
        for name, text in self.kept.items():
            if name not in sizes:
                faults.append((("kept", name), f"is no masked convolution of {self.supernet}"))
                continue
            try:
                parse_ranges(text, sizes[name])
            except ValueError as error:
                faults.append((("kept", name), str(error)))
        if faults:
            raise custom_error(faults)
        return self

    @model_serializer(mode="wrap")
    def _only_what_is_there(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files of super-networks without pooling paths don't speak of them."""
        document: dict[str, Any] = usual(self)
        if not self.pooling_paths:
            del document["pooling_paths"]
        return document

    @property
    def space(self) -> str:
        """The name of its search space, which is its super-network."""
        return self.supernet

    @property
    def _nominal(self) -> Graph:
        """The super-network on the smallest images, for what does not depend on the data."""
        size = SUPERNETS[self.supernet].stride
        return self.whole(DataShape(classes=1, image_channels=1, image_size=size))

    @cached_property
    def channels(self) -> Mapping[str, tuple[int, ...]]:
        """The kept input channels of every masked convolution, rising."""
        sizes = {name: sum(conv.sources) for name, conv in self._nominal.masked.items()}
        return {name: tuple(chain(*parse_ranges(self.kept[name], size))) for name, size in sizes.items()}

    @property
    def kept_share(self) -> float:
        """The share of the super-network's input channels, 0 to 1, that is kept."""
        return sum(map(len, self.channels.values())) / self._nominal.mask_size

    def network(self) -> Hashable:
        """A key that is equal for genotypes of one network, however their ranges are written."""
        return self.supernet, self.width, self.stages, self.pooling_paths, *self.channels.items()

    @classmethod
    def of(
        cls,
        name: str,
        width: int,
        stages: Sequence[int],
        kept: Mapping[str, Iterable[int]],
        *,
        pooling_paths: bool = False,
    ) -> Self:
        """A genotype from channels instead of text."""
        texts = {conv: ranges(chosen) for conv, chosen in kept.items()}
        return cls(supernet=name, width=width, stages=tuple(stages), kept=texts, pooling_paths=pooling_paths)

    def graph(self, shape: DataShape) -> Graph:
        """Its network, as data. Raises UsageError for images that are too small."""
        return slim(self.whole(shape), self.channels).graph

    def facts(self, shape: DataShape) -> dict[str, Any]:
        """The super-network, the network that is left of it for such images, and its share of the whole, as JSON.

        `dropped_channels` and `dropped_operations` are the shares of PGNAS, Table 7: of the channels that a mask may
        drop, and of the convolutions that read them, those none of whose channels is kept. `gone_convolutions` counts
        these and the others that are not in the network any more, as nothing reads them, or nothing that they read
        depends on the image.

        Raises UsageError for images that are too small.
        """
        whole, left = self.whole(shape), self.graph(shape)
        sizes = {part: sum(map(len, ranges)) for part, ranges in whole.mask_parts.items()}
        kept, dropped = dict.fromkeys(sizes, 0), sum(not channels for channels in self.channels.values())
        for name, channels in self.channels.items():
            kept[name.partition(".")[0]] += len(channels)
        return {
            "kind": self.kind,
            "supernet": self.supernet,
            "width": self.width,
            "stages": list(self.stages),
            **({"pooling_paths": True} if self.pooling_paths else {}),
            "parameters": left.parameters,
            "multiply_adds": left.multiply_adds,
            "channels": whole.mask_size,
            "kept": self.kept_share,
            "dropped_channels": 1 - self.kept_share,
            "dropped_operations": dropped / len(whole.masked),
            "dropped_convolutions": dropped,
            "gone_convolutions": sum(name not in left.sizes for name in whole.masked),
            "of_supernet": {
                "parameters": left.parameters / whole.parameters,
                "multiply_adds": left.multiply_adds / whole.multiply_adds,
            },
            "parts": [{"part": part, "channels": size, "kept": kept[part] / size} for part, size in sizes.items()],
        }

    def text(self) -> str:
        """Always raises UsageError: channels have no text form."""
        raise UsageError("a genotype of channels has no text form: use JSON")

    def in_words(self, settings: DataShape) -> str:
        """Its network in a few words."""
        kept = sum(map(len, self.channels.values()))
        paths = " and pooling paths" if self.pooling_paths else ""
        return f"{self.supernet} of width {self.width}{paths} with {kept:,} of its input channels"

    def trait(self) -> tuple[str, str]:
        """The trait that tells such genotypes apart at a glance: its name and its value."""
        return "kept", f"{self.kept_share:5.1%}"

    def disconnected_cells(self) -> tuple[str, ...]:
        """Always empty: there are no cells, and dropped channels do not stop the images altogether."""
        return ()

    def whole(self, shape: DataShape) -> Graph:
        """The super-network for this data. Raises UsageError for images that are too small."""
        return supernet(
            self.supernet,
            self.width,
            self.stages,
            classes=shape.classes,
            image_channels=shape.image_channels,
            image_size=shape.image_size,
            pooling_paths=self.pooling_paths,
        )
