import json
import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize import visualize
from nascli.visualize.cells.graph_text import FADED
from nascli.visualize.style import readable
from tests.visualize.examples import PARTLY_NONE, benchmark_genotypes, cells

Link = tuple[str, str, str]

# The part of DOT's grammar in use: https://graphviz.org/doc/info/lang.html
QUOTED = r'"(?:[^"\\]|\\.)*"'
VALUE = rf"(?:{QUOTED}|\w+)"
ATTRIBUTES = rf"\[\w+={VALUE}(?:, \w+={VALUE})*\]"
STATEMENT = re.compile(rf"^\s*(?:(\w+) -> (\w+)|\w+)(?: ({ATTRIBUTES}))?;$|^\s*\w+={VALUE};$")


genotypes = st.one_of(
    st.tuples(cells(), cells()).map(
        lambda both: CellGenotype(cells=dict(zip(("normal", "reduce"), both, strict=True)))
    ),
    benchmark_genotypes(),
)


def expected(genotype: CellGenotype) -> Counter[Link]:
    """Links as (from, to, label); an empty label leads to the output."""
    links: Counter[Link] = Counter()
    for name, cell in genotype.cells.items():
        for state, node in enumerate(cell.nodes, start=2 if genotype.space == "darts" else 1):
            picks = [pick for pick in node if pick.op != "none"]
            links.update((f"{name}_{pick.input}", f"{name}_{state}", readable(pick.op)) for pick in picks)
        links.update((f"{name}_{state}", f"{name}_out", "") for state in cell.concat)
    return links


@settings(max_examples=15, deadline=None, derandomize=True)
@given(genotypes)
def test_dot_holds_every_edge_and_parses(genotype: CellGenotype) -> None:
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
@given(genotypes)
def test_mermaid_holds_every_edge_and_styles_each_once(genotype: CellGenotype) -> None:
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
    assert sum(line.strip().startswith("subgraph ") for line in lines) == len(genotype.cells)
    assert sum(line.strip() == "end" for line in lines) == len(genotype.cells)


def test_nodes_that_are_nothing_or_read_by_nobody_are_grey() -> None:
    dot = visualize(PARTLY_NONE, format="dot").decode()
    faded = f'color="{FADED}"'
    assert set(re.findall(rf"(\w+) \[label=\S+, shape=circle, {faded}", dot)) == {"cell_1", "cell_2"}
    assert re.findall(rf"(\w+ -> \w+) \[label=.*{faded}", dot)[:2] == ["cell_0 -> cell_2", "cell_1 -> cell_2"]
    chart = visualize(PARTLY_NONE, format="mermaid").decode()
    assert re.findall(rf"style (\w+) stroke:{FADED}", chart) == ["cell_1", "cell_2"]


def test_edges_out_of_a_node_that_is_nothing_are_grey() -> None:
    dot = visualize(PARTLY_NONE, format="dot").decode()
    grey = re.findall(rf'(\w+ -> \w+) \[label=.*color="{FADED}"', dot)
    assert grey == ["cell_0 -> cell_2", "cell_1 -> cell_2", "cell_1 -> cell_3"]
