"""DOT and Mermaid have the super-network's links, and dash what is gone."""

import re
from collections import Counter

import pytest

from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Concat, Image, Linear, MaxPool, Sum
from nascli.registry import SUPERNETS
from nascli.visualize import visualize
from nascli.visualize.supernets.kept import of_genotype
from tests.visualize.examples import channels


def identifier(name: str) -> str:
    """A node's name in Mermaid, which knows letters, digits and underscores."""
    return re.sub("[.-]", "_", name)


def expected(graph: Graph) -> Counter[tuple[str, str]]:
    """All pairs of shown nodes with a path between them that passes no other, by what each node's maps come from."""
    comes_from: dict[str, frozenset[str]] = {}
    links: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        sources = frozenset().union(*(comes_from[name] for name in node.inputs))
        if node.name in graph.masked or isinstance(node.op, Image | Sum | Concat | MaxPool | AvgPool | Linear):
            links.update((source, node.name) for source in sources)
            sources = frozenset({node.name})
        comes_from[node.name] = sources
    return links


@pytest.mark.parametrize("name", SUPERNETS)
def test_links_are_the_graphs(name: str) -> None:
    genotype = channels(name)
    links = expected(of_genotype(genotype).graph)
    lines = visualize(genotype, format="dot").decode().splitlines()
    found = [match.groups() for line in lines if (match := re.match(r'^ *"([^"]+)" -> "([^"]+)"', line))]
    assert Counter(found) == links
    chart = visualize(genotype, format="mermaid").decode().splitlines()
    named = [match.groups() for line in chart if (match := re.match(r"^ *(\w+) (?:-->|-\.->) (\w+)$", line))]
    assert Counter(named) == {tuple(map(identifier, link)): count for link, count in links.items()}
    ends = {end for link in links for end in link}
    assert len({identifier(end) for end in ends}) == len(ends)


def test_brackets_balance_and_the_title_is_quoted() -> None:
    lines = visualize(channels(), format="dot", title='a "quoted" title').decode().splitlines()
    assert sum(line.endswith("{") for line in lines) == sum(line.strip() == "}" for line in lines) == 1 + 6
    assert '  label="a \\"quoted\\" title";' in lines
    chart = visualize(channels(), format="mermaid").decode().splitlines()
    assert chart[0] == "flowchart TB"
    assert (
        sum(line.strip().startswith("subgraph ") for line in chart) == sum(line.strip() == "end" for line in chart) == 6
    )


def test_what_is_gone_is_dashed() -> None:
    genotype = channels()
    dead = {name for name, conv in of_genotype(genotype).convolutions.items() if conv.dead}
    assert dead
    text = visualize(genotype, format="dot").decode()
    assert set(re.findall(r'"([^"]+)" \[label="[^"]*, gone", style=dashed', text)) == dead
    chart = visualize(genotype, format="mermaid").decode()
    assert set(re.findall(r"style (\w+) .*stroke-dasharray", chart)) == set(map(identifier, dead))
