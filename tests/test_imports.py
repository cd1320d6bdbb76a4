"""Who may import whom (see CONTRIBUTING.md), read from the source of every module; and what must stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import nascli
from nascli.registry import METHODS

PACKAGE = Path(nascli.__file__).parent
HEAVY = {"torch", "torchvision", "matplotlib", "sklearn"}

# Parts of the package (or single modules) that the modules of a part may import besides their own part. A module
# belongs to the part with the longest matching name.
MAY_IMPORT: dict[str, set[str]] = {
    "nascli": {
        "nascli.artifacts",
        "nascli.config",
        "nascli.fitted_config",
        "nascli.core.engine",
        "nascli.errors",
        "nascli.visualize",
    },
    "nascli.__main__": {"nascli.cli"},
    "nascli.distributed": {"nascli.errors"},
    "nascli.errors": set(),
    "nascli.seeds": set(),
    "nascli.upload": set(),
    "nascli.metrics": set(),
    "nascli.milestones": {"nascli.errors"},
    "nascli.registry": {"nascli.errors"},
    "nascli.faults": {"nascli.errors"},
    "nascli.frozen": set(),
    "nascli.recipes": {"nascli.errors", "nascli.registry"},
    "nascli.settings": {"nascli.errors", "nascli.milestones", "nascli.registry", "nascli.spaces", "nascli.supernets"},
    "nascli.config": {
        "nascli.errors",
        "nascli.milestones",
        "nascli.recipes",
        "nascli.registry",
        "nascli.settings",
        "nascli.spaces",
    },
    "nascli.fitted_config": {"nascli.config", "nascli.data", "nascli.errors", "nascli.registry"},
    "nascli.graphs": set(),
    "nascli.spaces": {"nascli.errors", "nascli.faults", "nascli.frozen", "nascli.graphs", "nascli.registry"},
    "nascli.supernets": {"nascli.errors", "nascli.graphs", "nascli.registry", "nascli.spaces"},
    "nascli.artifacts": {
        "nascli.distributed",
        "nascli.errors",
        "nascli.faults",
        "nascli.frozen",
        "nascli.graphs",
        "nascli.registry",
        "nascli.seeds",
        "nascli.spaces",
        "nascli.supernets",
    },
    "nascli.data": {
        "nascli.distributed",
        "nascli.artifacts",
        "nascli.config",
        "nascli.errors",
        "nascli.faults",
        "nascli.registry",
        "nascli.seeds",
        "nascli.upload",
    },
    "nascli.visualize": {
        "nascli.artifacts",
        "nascli.data",
        "nascli.errors",
        "nascli.graphs",
        "nascli.metrics",
        "nascli.registry",
        "nascli.spaces",
    },
    "nascli.core": {
        "nascli.distributed",
        "nascli.config",
        "nascli.core.nn",
        "nascli.errors",
        "nascli.seeds",
        "nascli.settings",
    },
    "nascli.core.nn": {
        "nascli.distributed",
        "nascli.artifacts",
        "nascli.errors",
        "nascli.graphs",
        "nascli.spaces",
        "nascli.upload",
    },
    "nascli.core.methods": {
        "nascli.distributed",
        "nascli.artifacts",
        "nascli.core",
        "nascli.core.nn",
        "nascli.errors",
        "nascli.graphs",
        "nascli.metrics",
        "nascli.milestones",
        "nascli.registry",
        "nascli.seeds",
        "nascli.settings",
        "nascli.spaces",
        "nascli.supernets",
        "nascli.upload",
    },
    "nascli.core.engine": {
        "nascli.distributed",
        "nascli",
        "nascli.artifacts",
        "nascli.config",
        "nascli.core",
        "nascli.core.methods.protocol",
        "nascli.core.nn",
        "nascli.data",
        "nascli.errors",
        "nascli.graphs",
        "nascli.metrics",
        "nascli.milestones",
        "nascli.registry",
        "nascli.seeds",
        "nascli.settings",
        "nascli.spaces",
    },
    "nascli.cli": {
        "nascli.distributed",
        "nascli",
        "nascli.artifacts",
        "nascli.config",
        "nascli.fitted_config",
        "nascli.core.engine",
        "nascli.errors",
        "nascli.graphs",
        "nascli.metrics",
        "nascli.recipes",
        "nascli.registry",
        "nascli.settings",
        "nascli.spaces",
        "nascli.supernets",
        "nascli.visualize",
    },
}

LIGHT = (
    "nascli.distributed.launch",
    "nascli.distributed.outcome",
    "nascli.distributed.share",
    "nascli.errors",
    "nascli.faults",
    "nascli.frozen",
    "nascli.metrics",
    "nascli.milestones",
    "nascli.registry",
    "nascli.recipes",
    "nascli.settings",
    "nascli.config",
    "nascli.seeds",
    "nascli.graphs",
    "nascli.spaces",
    "nascli.supernets",
    "nascli.cli",
)
LIGHT_ELSEWHERE = (
    "nascli.artifacts.genotypes.genotype",
    "nascli.artifacts.genotypes.published",
    "nascli.artifacts.truth",
    "nascli.core.engine.health",
    "nascli.core.methods.random_by_table",
)


def name_of(path: Path) -> str:
    parts = ["nascli", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    """The source of a module, parsed once for all tests."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Modules that the nodes import: `from nascli import recipes` is nascli.recipes, where that is a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def on_import(tree: ast.Module, *, later: bool = False) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: no function's body, nothing for type checkers alone.

    later: and those that run when its functions are called.
    """
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not later:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)


@cache
def part(module: str) -> str:
    """The entry of MAY_IMPORT that a module belongs to."""
    return max((name for name in MAY_IMPORT if (module + ".").startswith(name + ".")), key=len)


@pytest.mark.parametrize("own", MAY_IMPORT)
def test_imports_run_one_way(own: str) -> None:
    modules = [module for module in MODULES if part(module) == own]
    assert modules
    for module in modules:
        for target in imports(ast.walk(tree_of(module))):
            if target.split(".")[0] != "nascli" or part(target) == own:
                continue
            assert {part(target), target} & MAY_IMPORT[own], f"{module} may not import {target}"


def test_no_modules_import_each_other() -> None:
    """Not even within functions. The package itself only names what others hold."""
    trees = {name: tree_of(name) for name in MODULES if name != "nascli"}
    left = {name: {*imports(on_import(tree, later=True))} & trees.keys() for name, tree in trees.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    assert not left, "modules in a circle, and those that import them"


def test_methods_do_not_import_each_other() -> None:
    """Modules of that folder that no row of the registry names are what methods share."""
    methods = {row.target.split(":")[0] for row in METHODS.values()}
    for module in (name for name in MODULES if name.startswith("nascli.core.methods.")):
        tree = tree_of(module)
        assert not set(imports(ast.walk(tree))) & methods - {module}


@pytest.mark.parametrize("light", LIGHT)
def test_light_modules_import_nothing_heavy(light: str) -> None:
    modules = [name for name in MODULES if name.startswith(light)]
    assert modules
    for module in modules:
        heavy = {name.split(".")[0] for name in imports(on_import(tree_of(module)))} & HEAVY
        assert not heavy, f"{module} imports {heavy}"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    report = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stdout.splitlines()[-1].split())


def test_light_modules_load_nothing_heavy() -> None:
    names = [*(name for name in MODULES if name.startswith(LIGHT)), *LIGHT_ELSEWHERE]
    own = [name for name in names if name not in ("nascli.cli.output.results", "nascli.cli.output.evaluation_table")]
    assert not loaded_by(f"import {', '.join(own)}") & HEAVY


def test_help_loads_neither_torch_nor_pydantic() -> None:
    loaded = loaded_by("from nascli.cli.main import run; assert run(['--help']) == 0")
    assert not loaded & (HEAVY | {"pydantic", "numpy", "rich"})
