import json
import re
from collections import Counter

from hypothesis import given, settings

from nascli.spaces.cell_genotype import Cell, CellGenotype
from nascli.visualize import visualize
from nascli.visualize.style import readable
from tests.visualize.examples import cells

Link = tuple[str, str, str]

# The part of DOT's grammar in use: https://graphviz.org/doc/info/lang.html
QUOTED = r'"(?:[^"\\]|\\.)*"'
VALUE = rf"(?:{QUOTED}|\w+)"
ATTRIBUTES = rf"\[\w+={VALUE}(?:, \w+={VALUE})*\]"
STATEMENT = re.compile(rf"^\s*(?:(\w+) -> (\w+)|\w+)(?: ({ATTRIBUTES}))?;$|^\s*\w+={VALUE};$")


def expected(genotype: CellGenotype) -> Counter[Link]:
    """Links as (from, to, label); an empty label leads to the output."""
    links: Counter[Link] = Counter()
    for name, cell in genotype.cells():
        for state, node in enumerate(cell.nodes, start=2):
            links.update((f"{name}_{pick.input}", f"{name}_{state}", readable(pick.op)) for pick in node)
        links.update((f"{name}_{state}", f"{name}_out", "") for state in cell.concat)
    return links


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cells(), cells())
def test_dot_holds_every_edge_and_parses(normal: Cell, reduce: Cell) -> None:
    genotype = CellGenotype(normal=normal, reduce=reduce)
    lines = visualize(genotype, format="dot", title='a "quoted" \\ title').decode().splitlines()
    assert lines[0] == "digraph genotype {"
    depth, links = 0, Counter[Link]()
    for line in lines:
        if line.endswith("{"):
            assert re.match(r"^\s*(digraph|subgraph) \w+ \{$", line)
            depth += 1
        elif line.strip() == "}":
            depth -= 1
        else:
            match = STATEMENT.match(line)
            assert match, line
            if match[1]:
                label = re.search(r'label="([^"]*)"', match[3])
                links[match[1], match[2], label[1] if label else ""] += 1
    assert depth == 0
    assert links == expected(genotype)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cells(), cells())
def test_mermaid_holds_every_edge_and_styles_each_once(normal: Cell, reduce: Cell) -> None:
    genotype = CellGenotype(normal=normal, reduce=reduce)
    text = visualize(genotype, format="mermaid", title='a "quoted" title').decode()
    head, title, rule, *lines = text.splitlines()
    assert (head, rule, lines[0]) == ("---", "---", "flowchart LR")
    assert json.loads(title.removeprefix("title: ")) == 'a "quoted" title'
    links = [
        (match[1], match[3], match[2] or "")
        for line in lines
        if (match := re.match(r'^ *(\w+) (?:-- "([^"]+)" -->|-\.->) (\w+)$', line))
    ]
    assert Counter(links) == expected(genotype)
    styled = [int(match[1]) for line in lines if (match := re.match(r"^ *linkStyle (\d+) stroke:#\w{6}", line))]
    assert styled == list(range(len(links)))
    assert sum(line.strip().startswith("subgraph ") for line in lines) == 2
    assert sum(line.strip() == "end" for line in lines) == 2
