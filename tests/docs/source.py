"""What source text says: found by reading it, so that nothing is run and nothing forgotten."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = ("lims_api", "ingest", "pipelines", "ml", "dashboards")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the five programs, parsed, by its path from the root."""
    return {name: ast.parse(text) for name, text in texts().items() if name.endswith(".py")}


@cache
def texts() -> dict[str, str]:
    """The programs' and dbt's text files, by path from the root, sorted."""
    found = [path for program in PROGRAMS for path in (ROOT / program).rglob("*.py")]
    found += [path for part in ("models", "macros", "tests") for path in (ROOT / "dbt" / part).rglob("*.*")]
    found.append(ROOT / "dbt" / "profiles.yml")
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(found) if path.is_file()}


@cache
def words() -> dict[str, dict[str, str]]:
    """What a name means where code does not say it: `words.toml`."""
    content: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))
    return content


def where(pattern: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """The Python files of the programs that hold a match of the pattern."""
    return [
        name
        for name, text in texts().items()
        if name.endswith(".py") and name not in without and re.search(pattern, text)
    ]


@cache
def details() -> dict[str, list[str]]:
    """By error class, what the program says when it raises it: the first argument of each place that does."""
    found: dict[str, set[str]] = {}
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                found.setdefault(node.func.id, set()).add(_text(node.args[0]))
    return {name: sorted(said - {""}) for name, said in found.items()}


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value).rpartition('.')[2]}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return ""


@cache
def reactions() -> dict[str, list[str]]:
    """Which subscribers an event has: `@subscribe("order.completed", name="reports.release")`."""
    found: dict[str, list[str]] = {}
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "subscribe":
                name = next((_text(word.value) for word in node.keywords if word.arg == "name"), "")
                found.setdefault(_text(node.args[0]), []).append(name)
    return found


def assigned_lists(function: str, path: str) -> dict[str, set[str]]:
    """The names of attributes in each list that a function assigns, e.g. `gates` and `rules` of the verification."""
    tree = next(
        node for node in ast.walk(modules()[path]) if isinstance(node, ast.FunctionDef) and node.name == function
    )
    return {
        node.targets[0].id: {part.attr for part in ast.walk(node.value) if isinstance(part, ast.Attribute)}
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def make_targets() -> list[tuple[str, str]]:
    """`make help`: every target and what it does."""
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    matches = (re.match(r"([a-z]+):.*## (.*)", line) for line in lines)
    return [(match[1], match[2]) for match in matches if match]


def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


# requirements


@dataclass(frozen=True, order=True)
class Proof:
    """A test that proves a requirement, and the modules that it takes the proof from."""

    file: str
    test: str
    modules: tuple[str, ...]


@cache
def proofs() -> dict[str, list[Proof]]:
    """By requirement id, from the markers `@pytest.mark.req("…")` of every test file."""
    found: dict[str, list[Proof]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        whole_file = list(_ids(_marks_of_module(tree)))
        imported = _imported(tree)
        for test in _tests(tree):
            for requirement in [*whole_file, *_ids(test.decorator_list)]:
                proof = Proof(path.relative_to(ROOT).as_posix(), test.name, _used(tree, test, imported))
                if proof not in found.setdefault(requirement, []):
                    found[requirement].append(proof)
    return found


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _marks_of_module(tree: ast.Module) -> list[ast.expr]:
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "pytestmark"
    ]
    return [mark for value in values for mark in (value.elts if isinstance(value, ast.List) else [value])]


def _ids(marks: list[ast.expr]) -> Iterator[str]:
    for mark in marks:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.req":
            yield from (_text(argument) for argument in mark.args)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Our modules by the name under which the test file has them, or what it took from them."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PROGRAMS:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = inner if _is_module(inner) else node.module
        elif isinstance(node, ast.Import):
            ours = (alias for alias in node.names if alias.name.split(".")[0] in PROGRAMS)
            names |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in ours}
    return names


def _is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").exists() or path.is_dir()


def _used(tree: ast.Module, test: ast.FunctionDef | ast.AsyncFunctionDef, imported: dict[str, str]) -> tuple[str, ...]:
    """The modules behind the names that a test uses, itself or through the helpers and fixtures of its file."""
    helpers = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("test_")
    }
    seen: set[str] = set()
    waiting: list[ast.AST] = [test]
    while waiting:
        node = waiting.pop()
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        names |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        waiting += [helpers[name] for name in names - seen if name in helpers]
        seen |= names
    found = {imported[name] for name in seen if name in imported}
    return tuple(sorted(found))
