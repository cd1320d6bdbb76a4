import pytest
import torch
from torch import nn

from nascli.artifacts.genotype import CellGenotype
from nascli.core.nn.build import build_network
from nascli.core.nn.sampled_network import SampledNetwork
from nascli.errors import UsageError
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn import oracle

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def settings(**changes):
    fields = {"layers": 4, "channels": 4, "stem": "cifar", "classes": 5, "image_channels": 3, "image_size": 32}
    return NetworkSettings(**{**fields, **changes})


def child(seed, nodes=3, distinct_edges=False):
    """A child drawn by hand; with `distinct_edges` a node's picks have different inputs."""
    generator = torch.Generator().manual_seed(seed)

    def draw(below):
        return int(torch.randint(below, (1,), generator=generator))

    cells = {}
    for name in ("normal", "reduce"):
        drawn = []
        for node in range(2, nodes + 2):
            first = draw(node)
            second = (first + 1 + draw(node - 1)) % node if distinct_edges else draw(node)
            drawn.append([{"op": OPERATIONS[draw(7)], "input": source} for source in (first, second)])
        cells[name] = {"nodes": drawn, "concat": range(2, nodes + 2)}
    return CellGenotype.model_validate(cells)


def images(batch=6, side=32):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def network(as_derived=False, nodes=3, **changes):
    torch.manual_seed(1)
    return SampledNetwork(settings(**changes), nodes=nodes, operations=OPERATIONS, as_derived=as_derived)


def give_weights(searched, derived, genotype):
    """Copy the child's weights out of the search network into the derived one."""
    theirs, found = searched.state_dict(), {}
    for name in derived.state_dict():
        parts = name.split(".")
        if parts[0] == "cells" and parts[2] == "nodes":
            node, pick = int(parts[3]), int(parts[4])
            cell = genotype.reduce if searched.cells[int(parts[1])].reduction else genotype.normal
            chosen = cell.nodes[node][pick]
            source = ".".join(("cells", parts[1], "edges", f"{chosen.input}-{node + 2}", chosen.op, *parts[5:]))
        else:
            source = name
        if source in theirs:
            found[name] = theirs[source]
    missing = derived.load_state_dict(found, strict=False).missing_keys
    assert all("running" in name or "num_batches" in name for name in missing)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("seed", range(4))
def test_a_child_in_derived_form_is_the_derived_network(seed, stem):
    """Also where a node picks one operation of one input twice."""
    side, channels = (32, 4) if stem == "cifar" else (224, 2)
    size = {"stem": stem, "channels": channels, "image_size": side, "auxiliary": True}
    searched = network(as_derived=True, **size).double()
    genotype = child(seed)
    derived = build_network(genotype, settings(**size), seed=0).double()
    give_weights(searched, derived, genotype)
    x = images(3, side).double()
    mine, my_tower = searched(x, genotype, with_auxiliary=True)
    theirs, their_tower = derived(x, with_auxiliary=True)
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(my_tower, their_tower, rtol=1e-9, atol=1e-9)

    (mine.square().sum() + my_tower.square().sum()).backward()
    (theirs.square().sum() + their_tower.square().sum()).backward()
    torch.testing.assert_close(next(searched.stem.parameters()).grad, next(derived.stem.parameters()).grad)
    torch.testing.assert_close(searched.classifier.weight.grad, derived.classifier.weight.grad)


@pytest.mark.parametrize(("seed", "stem", "side"), [*((seed, "cifar", 32) for seed in range(4)), (4, "imagenet", 64)])
def test_a_child_in_search_form_is_the_mixture_with_all_weight_on_its_picks(seed, stem, side):
    """Written from the paper, one module per edge and operation, weights of 1 and 0 select the child (Eq. 1)."""
    genotype = child(seed, distinct_edges=True)
    searched = network(stem=stem, image_size=side).double()
    operations = ("none", *OPERATIONS)
    mixed = oracle.Oracle(
        operations=operations, nodes=3, layers=4, channels=4, stem=stem, classes=5, image_channels=3,
        partial_channels=1,
    ).double()  # fmt: skip
    keys = mixed.load_state_dict(searched.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert {name.split(".")[-1] for name in keys.missing_keys} == {"running_mean", "running_var", "num_batches_tracked"}
    weights = {}
    for name, cell in genotype.cells():
        rows = [(source, node) for node in range(2, 5) for source in range(node)]
        weights[name] = torch.zeros(len(rows), len(operations), dtype=torch.float64)
        for node, picks in enumerate(cell.nodes, start=2):
            for pick in picks:
                weights[name][rows.index((pick.input, node)), operations.index(pick.op)] = 1
    x = images(side=side).double()
    torch.testing.assert_close(searched(x, genotype), mixed(x, weights, None))


def test_only_the_childs_operations_run():
    searched, genotype = network(), child(7)
    ran = set()
    for name, module in searched.named_modules():
        if isinstance(module, nn.Conv2d) and ".edges." in name:
            module.register_forward_hook(lambda *_, name=name: ran.add(name.partition(".edges.")))
    searched(images(), genotype)
    wanted = set()
    for position, cell in enumerate(searched.cells):
        choice = genotype.reduce if cell.reduction else genotype.normal
        for node, picks in enumerate(choice.nodes, start=2):
            for pick in picks:
                for name, module in cell.edges[f"{pick.input}-{node}"][pick.op].named_modules():
                    if isinstance(module, nn.Conv2d):
                        wanted.add((f"cells.{position}", ".edges.", f"{pick.input}-{node}.{pick.op}.{name}"))
    assert ran == wanted


def test_picks_that_agree_count_twice():
    picks = [[{"op": "sep_conv_3x3", "input": 1}, {"op": "sep_conv_3x3", "input": 1}]]
    cell = {"nodes": picks, "concat": [2]}
    genotype = CellGenotype.model_validate({"normal": cell, "reduce": cell})
    searched = SampledNetwork(settings(layers=3), nodes=1, operations=OPERATIONS)
    cell = searched.cells[0]
    state = torch.randn(4, 12, 8, 8)
    expected = 2 * cell.edges["1-2"]["sep_conv_3x3"](cell.inputs[1](state))
    torch.testing.assert_close(cell(state, state, genotype.normal), expected)


def test_batches_are_normalised_by_their_own_statistics_in_evaluation_too():
    searched, genotype = network(), child(3)
    x = images()
    training = searched(x, genotype)
    assert torch.equal(searched.eval()(x, genotype), training)
    assert not any("running" in name or "num_batches" in name for name in searched.state_dict())


def test_the_stem_can_be_shared_by_children():
    searched = network()
    x = images()
    states = searched.stem(x)
    for seed in range(3):
        assert torch.equal(searched.after_stem(states, child(seed)), searched(x, child(seed)))


def test_impossible_sizes_are_refused():
    with pytest.raises(UsageError, match="too small"):
        network(image_size=2)
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        network()(images(), child(0), with_auxiliary=True)
