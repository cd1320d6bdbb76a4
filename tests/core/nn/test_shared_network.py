"""Children of shared weights: against the derived network, against the mixture with all weight on their picks."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.artifacts.genotypes.genotype import CellGenotype
from nascli.core.nn.build import build_network
from nascli.core.nn.shared_network import SharedNetwork, Siblings
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Shared
from tests.core.nn import nas_bench_201_oracle, oracle

SPACE = cell_space("darts", nodes=2)
OPERATIONS = SPACE.operations[1:]


def settings(**changes):
    fields = {"layers": 4, "channels": 4, "stem": "cifar", "classes": 5, "image_channels": 3, "image_size": 32}
    return NetworkSettings(**{**fields, **changes})


def child(seed, distinct_edges=False):
    """A child drawn by hand; with `distinct_edges` a node's picks have different inputs."""
    generator = torch.Generator().manual_seed(seed)

    def draw(below):
        return int(torch.randint(below, (1,), generator=generator))

    cells = {}
    for name in ("normal", "reduce"):
        drawn = []
        for node in range(2, 4):
            first = draw(node)
            second = (first + 1 + draw(node - 1)) % node if distinct_edges else draw(node)
            drawn.append([{"op": OPERATIONS[draw(7)], "input": source} for source in (first, second)])
        cells[name] = {"nodes": drawn, "concat": range(2, 4)}
    return CellGenotype.model_validate({"cells": cells})


SAME = [{"op": "sep_conv_3x3", "input": 1}] * 2, [{"op": "max_pool_3x3", "input": 0}] * 2
ALIKE = CellGenotype.model_validate({"cells": {cell: {"nodes": [*SAME], "concat": [2, 3]} for cell in SPACE.cells}})
"""Every node picks one operation of one input twice."""


def images(batch=6, side=32):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


class Sampled:
    """A network for all children of the space, and the graphs that it takes."""

    def __init__(self, space=SPACE, searching=True, **changes):
        self.space, self.settings, self.wiring = space, settings(**changes), Shared(searching=searching)
        everything = space.graph(space.everything(), self.settings, self.wiring)
        self.network = SharedNetwork(everything, with_tower=self.settings.auxiliary)

    def graph(self, genotype):
        return self.space.graph(genotype, self.settings, self.wiring)

    def __call__(self, images, genotype, **options):
        return self.network(images, self.graph(genotype), **options)

    def double(self):
        self.network.double()
        return self


def copy_weights(network, searched):
    """Give a child's network the shared weights, which have the same names; no other pick has weights of its own."""
    theirs = searched.state_dict()
    missing = network.load_state_dict(
        {name: theirs[name.replace("_2.", ".")] for name in network.state_dict() if name.replace("_2.", ".") in theirs},
        strict=False,
    ).missing_keys
    assert all("running" in name or "num_batches" in name for name in missing)


@pytest.mark.parametrize(
    ("genotype", "stem"),
    [(child(0), "cifar"), (ALIKE, "cifar"), (child(2), "imagenet")],
    ids=["random", "alike", "imagenet"],
)
def test_a_child_in_derived_form_is_the_derived_network(genotype, stem):
    """Also where a node picks one operation of one input twice."""
    side, channels = (32, 4) if stem == "cifar" else (224, 2)
    size = {"stem": stem, "channels": channels, "image_size": side, "auxiliary": True}
    searched = Sampled(searching=False, **size).double()
    derived = build_network(genotype.graph(settings(**size)), seed=0, with_tower=True).double()
    copy_weights(derived, searched.network)
    x = images(3, side).double()
    mine, my_tower = searched(x, genotype, with_auxiliary=True)
    theirs, their_tower = derived(x, with_auxiliary=True)
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(my_tower, their_tower, rtol=1e-9, atol=1e-9)

    (mine.square().sum() + my_tower.square().sum()).backward()
    (theirs.square().sum() + their_tower.square().sum()).backward()
    for name in ("stem", "classifier"):
        for ours, others in zip(
            searched.network.get_submodule(name).parameters(), derived.get_submodule(name).parameters(), strict=True
        ):
            torch.testing.assert_close(ours.grad, others.grad)


@pytest.mark.parametrize(("seed", "stem", "side"), [(0, "cifar", 9), (4, "imagenet", 33)])
def test_a_child_in_search_form_is_the_mixture_with_all_weight_on_its_picks(seed, stem, side):
    """Written from the paper, one module per edge and operation, weights of 1 and 0 select the child (Eq. 1)."""
    genotype = child(seed, distinct_edges=True)
    searched = Sampled(stem=stem, image_size=side).double()
    mixed = oracle.Oracle(
        operations=SPACE.operations, nodes=2, layers=4, channels=4, stem=stem, classes=5, image_channels=3,
        partial_channels=1,
    ).double()  # fmt: skip
    # Weightless operations are computed once for all edges that leave a state: here each edge has its own.
    shared = {k: v for k, v in searched.network.state_dict().items() if ".states." not in k}
    keys = mixed.load_state_dict(shared, strict=False)
    assert not keys.unexpected_keys
    assert {name.split(".")[-1] for name in keys.missing_keys} == {"running_mean", "running_var"}
    weights = {}
    for name, cell in genotype.cells.items():
        rows = [(source, node) for node in range(2, 4) for source in range(node)]
        weights[name] = torch.zeros(len(rows), len(SPACE.operations), dtype=torch.float64)
        for node, picks in enumerate(cell.nodes, start=2):
            for pick in picks:
                weights[name][rows.index((pick.input, node)), SPACE.operations.index(pick.op)] = 1
    x = images(side=side).double()
    torch.testing.assert_close(searched(x, genotype), mixed(x, weights, None))


@pytest.mark.parametrize("searching", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_a_child_of_the_benchmark_is_the_papers_network(seed, searching):
    space = cell_space("nas-bench-201")
    chosen = torch.randint(5, (6,), generator=torch.Generator().manual_seed(seed)).tolist()
    genotype = space.genotype(chosen)
    searched = Sampled(space, searching, layers=6).double()
    plain = nas_bench_201_oracle.Network(
        [[space.operations[choice]] for choice in chosen], per_stage=2, channels=4, affine=not searching
    ).double()
    theirs = searched.network.state_dict()
    missing = plain.load_state_dict({k: v for k, v in theirs.items() if k in plain.state_dict()}, strict=False)
    assert {name.split(".")[-1] for name in missing.missing_keys} <= {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    x = images(3, side=16).double()
    torch.testing.assert_close(searched(x, genotype), plain(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_only_the_childs_operations_run(space):
    space = cell_space(space)
    sizes = [len(decision.options) for decision in space.decisions() for _ in range(decision.draws)]
    choices = [(2 + 3 * number) % size for number, size in enumerate(sizes)]
    genotype, searched = space.genotype(choices), Sampled(space, layers=3)
    ran = set()
    for name, module in searched.network.named_modules():
        if isinstance(module, nn.Conv2d) and ".edges." in name:
            module.register_forward_hook(lambda *_, name=name: ran.add(name))
    searched(images(), genotype)
    wanted = {node.name for node in searched.graph(genotype).nodes if ".edges." in node.name}
    convs = {name for name, module in searched.network.named_modules() if isinstance(module, nn.Conv2d)}
    assert ran == wanted & convs
    assert 0 < len(ran) < len(convs) / 2


def test_picks_that_agree_count_twice():
    space = cell_space("darts", nodes=1)
    picks = [[{"op": "sep_conv_3x3", "input": 1}, {"op": "sep_conv_3x3", "input": 1}]]
    cell = {"nodes": picks, "concat": [2]}
    once = {"nodes": [picks[0][:1]], "concat": [2]}
    searched, x, name = Sampled(space, layers=3), images(), "cells.0.nodes.2.sum"
    values = [
        searched.network.run(
            searched.graph(CellGenotype.model_validate({"cells": dict.fromkeys(space.cells, c)})).steps((name,)),
            {"image": x},
            keep=(name,),
        )[name]
        for c in (cell, once)
    ]
    torch.testing.assert_close(values[0], 2 * values[1])


def test_batches_are_normalised_by_their_own_statistics_in_evaluation_too():
    searched, genotype = Sampled(), child(3)
    x = images()
    training = searched(x, genotype)
    searched.network.eval()
    assert torch.equal(searched(x, genotype), training)
    assert not any("running" in name or "num_batches" in name for name in searched.network.state_dict())


SIBLINGS = {
    "darts": {"space": cell_space("darts", nodes=1), "auxiliary": True, "searching": False},
    "darts-imagenet": {"space": cell_space("darts", nodes=2), "stem": "imagenet"},
    "nas-bench-201": {"space": cell_space("nas-bench-201")},
}


def families(space):
    """Four children drawn uniformly; and four that agree in about half of their draws, the last with the first."""
    generator = torch.Generator().manual_seed(0)
    sizes = [len(decision.options) for decision in space.decisions() for _ in range(decision.draws)]
    draws = torch.stack([torch.randint(size, (4,), generator=generator) for size in sizes], dim=1)
    alike = torch.where(torch.rand(draws.shape, generator=generator) < 0.5, draws[:1], draws)
    alike[3] = alike[0]
    for rows in (draws, alike):
        yield [space.genotype(row) for row in rows.tolist()]


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings_learn_as_if_each_were_alone(name):
    """Losses to the bit, and the gradient of their weighted sum, from autograd over all children at once."""
    searched = Sampled(layers=3, **SIBLINGS[name]).double()
    network, tower = searched.network, searched.settings.auxiliary
    x, labels = images(3, 32).double(), torch.tensor([0, 3, 1])

    def loss(answer):
        parts = answer if tower else (answer,)
        return sum(F.cross_entropy(logits, labels) * weight for logits, weight in zip(parts, (1, 0.4), strict=False))

    for genotypes in families(searched.space):
        children = [searched.graph(genotype) for genotype in genotypes]
        shares = torch.tensor([0.1, 0.5, 0.2, 0.7], dtype=torch.float64)
        alone = torch.stack([loss(network(x, child, with_auxiliary=tower)) for child in children])
        weights = list(network.parameters())
        expected = torch.autograd.grad(shares @ alone, weights, allow_unused=True, materialize_grads=True)
        siblings = Siblings(network, children)
        together = torch.zeros_like(alone)
        network.zero_grad()
        for turn in siblings.turns:
            part = loss(siblings(x, turn, with_auxiliary=tower))
            siblings.backward(turn, shares[turn.place] * part)
            together[turn.place] = part.detach()
        assert torch.equal(together, alone)
        for weight, gradient in zip(weights, expected, strict=True):
            found = torch.zeros_like(weight) if weight.grad is None else weight.grad
            torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-12)
        with torch.no_grad():  # the first batch leaves nothing behind
            for turn in siblings.turns:
                assert torch.equal(siblings(-x, turn), network(-x, children[turn.place]))
        whole = sum(len(child.steps((child.nodes[-1].name,))) for child in children)
        assert sum(len(turn.steps) for turn in siblings.turns) < whole


def test_a_tower_that_is_not_there_cannot_answer():
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        Sampled()(images(), child(0), with_auxiliary=True)
