"""Which nodes each of several graphs computes when they are taken one after the other."""

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import Concat, Image, Norm, Relu
from nascli.graphs.turns import Turn, turns

IMAGE = Node("image", Image(3), ())
STEM = Node("stem", Relu(), ("image",))


def _graph(*nodes: Node) -> Graph:
    return Graph((IMAGE, STEM, *nodes), image_size=4)


def _turns(*graphs: Graph) -> list[Turn]:
    return turns(graphs, [(graph.nodes[-1].name,) for graph in graphs])


def _computed(turn: Turn) -> list[str]:
    return [step.node.name for step in turn.steps]


A, B, C = (Node(name, Norm(), ("stem",)) for name in "abc")
BEHIND = Node("behind", Relu(), ("b",))


def test_what_neighbours_share_is_computed_once_and_kept_as_long_as_it_is_read() -> None:
    """By hand: the stem and b are shared by all three, "behind" by the last two, and a node that reads another is new.

    The second in order is the nearest to the first, which is the last one given.
    """
    first = _graph(A, B, Node("end", Concat(), ("a", "b")))
    third = _graph(C, B, BEHIND, Node("end", Concat(), ("c", "behind")))
    second = _graph(A, B, BEHIND, Node("end", Concat(), ("a", "behind")))
    found = _turns(first, third, second)
    assert [(turn.position, turn.place) for turn in found] == [(0, 0), (1, 2), (2, 1)]
    assert [_computed(turn) for turn in found] == [["stem", "a", "b", "end"], ["behind", "end"], ["c", "end"]]
    # The third reads the stem and "behind": the stem is kept through the second, which doesn't read it; a and b end.
    assert [turn.keep for turn in found] == [{"stem", "a", "b"}, {"stem", "behind"}, set()]
    assert found[1].steps[0].spent == ("b",)
    assert found[0].ends == {"image": 2, "stem": 2, "a": 1, "b": 2, "end": 0}


def test_one_name_on_other_inputs_is_another_value() -> None:
    behind_a = Node("behind", Relu(), ("a",))
    found = _turns(_graph(A, B, BEHIND), _graph(A, B, behind_a))
    assert [_computed(turn) for turn in found] == [["stem", "b", "behind"], ["a", "behind"]]


def test_a_graph_that_comes_again_is_not_computed_again() -> None:
    graph = _graph(A)
    found = _turns(graph, _graph(B), graph)
    assert [turn.place for turn in found] == [0, 2, 1]
    assert [_computed(turn) for turn in found] == [["stem", "a"], [], ["b"]]
    assert found[0].keep == {"stem", "a"}
