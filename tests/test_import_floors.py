"""Imports run downward only; README's map of the house shows the floors that this keeps."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
OURS = ("stream_app", "agents", "models")
ROOF = ("stream_app.app", "stream_app.worker", "stream_app.supervisor", "stream_app.cli", "stream_app.web")


def modules() -> dict[str, ast.Module]:
    """The syntax tree of each of our modules by its dotted name."""
    paths = [path for room in OURS for path in (HOUSE / room).rglob("*.py") if "notebooks" not in path.parts]
    return {
        ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(), str(path)
        )
        for path in paths
    }


def at_import(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when the module is imported: not those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from at_import(child)


def names(imports: Iterator[ast.AST]) -> set[str]:
    """What is imported, as far as a name can tell: `from a import b` may mean `a` or `a.b`."""
    found = set()
    for each in imports:
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0 and each.module, f"relative import in line {each.lineno}"
            found |= {each.module} | {f"{each.module}.{alias.name}" for alias in each.names}
    return found


def within(name: str, *rooms: str) -> bool:
    """Whether `name` is one of the rooms or lies in one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


MODULES = modules()
#: Everything that a module imports, wherever in it.
IMPORTED = {name: names(ast.walk(tree)) for name, tree in MODULES.items()}


def offences(importer: str, *forbidden: str, but: tuple[str, ...] = ()) -> list[str]:
    """Lines `who imports what` for modules in the room `importer`."""
    return [
        f"{name} imports {each}"
        for name, imported in IMPORTED.items()
        if within(name, importer)
        for each in sorted(imported)
        if within(each, *forbidden) and not within(each, *but) and name not in but
    ]


def test_models_know_nothing_of_ours_but_the_errors():
    """They serve any other program as well."""
    ours = ("stream_app", "agents")
    found = [each for each in offences("models", *ours, but=("stream_app.errors",)) if not each.endswith(" stream_app")]

    assert found == []


def test_the_index_is_a_plain_library():
    """It knows neither streams nor models."""
    assert offences("stream_app.index", "faust", "aiokafka", "tensorflow", "keras", "models", "agents", "aiohttp") == []


def test_only_one_file_speaks_to_redis_inside_the_index():
    """One outside thing, one file."""
    assert offences("stream_app.index", "redis", but=("stream_app.index.redis_calls",)) == []


def test_agents_know_neither_the_web_nor_who_starts_them():
    """They are joined to both in `stream_app/app.py`."""
    assert offences("agents", *ROOF) == []


def test_only_the_app_knows_the_agents():
    """Everything else would be a cycle in thought."""
    assert offences("stream_app", "agents", but=("stream_app.app",)) == []


def test_the_web_knows_the_album_and_not_what_lies_behind_it():
    """Views speak to one protocol."""
    assert offences("stream_app.web", "faust", "aiokafka", "redis", "tensorflow", "agents", "stream_app.index") == []


def test_there_is_no_cycle():
    """What is imported stands below its importer; raises CycleError, which names the cycle."""
    graph = {name: {each for each in names(at_import(tree)) if each in MODULES} for name, tree in MODULES.items()}

    order = list(TopologicalSorter(graph).static_order())

    assert len(order) == len(MODULES)


@pytest.mark.parametrize("door", ["stream_app.app", "stream_app.supervisor", "models.space"])
def test_tensorflow_stays_out_of_the_event_loops_process(door):
    """Only the encoder's child process loads it."""
    program = f"import sys, {door}; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=HOUSE, capture_output=True, text=True)

    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
