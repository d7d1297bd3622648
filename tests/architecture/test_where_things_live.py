"""Only this file does that: what the import contracts cannot say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMS = ROOT / "lims_api"

ONLY_IN: dict[str, tuple[str, ...]] = {
    r"\.(commit|begin)\(": (
        "core/db/database.py",
        "migrations/env.py",
        "core/relay.py",  # a reader's snapshot, for all organizations
        "worker.py",  # upkeep that belongs to none
        "organizations/service.py",  # making one, before anybody can act in it
    ),
    r"\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(": ("core/clock.py",),
    r"\btime\.time(_ns)?\(": ("core/ids.py",),
    r"\buuid\.uuid\d\(|\buuid[1-68]\(|from uuid import .*uuid\d": (),
    r"\bos\.(environ|getenv|putenv)\b": (
        "core/settings.py",
        "core/telemetry.py",
        "cli/installation.py",  # what the programs that it starts are given
        "cli/demo/play.py",
        "cli/web.py",  # npm finds the same node
    ),
    r"\bHTTPException\b": ("core/http/problem.py",),
    r"\bexcept (Exception|BaseException)\b|\bexcept:": (
        "worker.py",
        "sync/push.py",  # one command's fault is not the others'
    ),
    r"\bSYSTEM_ACTOR\b": ("core/ids.py", "core/db/database.py", "worker.py", "cli.py", "identity/authentication.py"),
    r"\bSystemCaller\(": ("worker.py", "cli.py"),
    r"lims_(superuser|owner|ledger|gate)\b": ("core/db/bootstrap.py", "core/db/embedded.py", "core/db/__init__.py"),
    r"\bset_config\(": ("core/http/reading.py",),
    r"\bprint\(": ("cli.py",),
    r"\blogging\.getLogger\(": ("core/telemetry.py",),
    r"\blims\.(ledger|outbox)\b": ("core/ledger.py", "migrations/env.py", "cli/demo/account.py"),
    r"\bcascade\b|ondelete": (),
}
"""Pattern → the files of `lims_api` that may hold it (`migrations/versions` and SQL files apart)."""

ALSO: dict[str, str] = {
    "cli.py": r"cli(_\w+)?\.py|cli/(\w+/)?\w+\.py",
    "worker.py": r"worker\.py|core/relay\.py|(\w+/)(jobs|subscribers)\.py",
}
"""Outer loops and operator commands come in several files; the name that stands for them."""


def sources(folder: Path = LIMS) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        if "versions" not in path.parts and "__pycache__" not in path.parts:
            yield path


def code(path: Path) -> Iterator[tuple[int, str]]:
    """Lines without comments and docstrings: what is said about a thing is not the thing."""
    text = path.read_text()
    silent: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            silent |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(text.splitlines(), start=1):
        if number not in silent:
            yield number, re.sub(r"(^|\s\s)#.*$", "", line)


def may(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == name or re.fullmatch(ALSO.get(name, r"(?!)"), path) for name in allowed)


def misplaced(pattern: str, allowed: tuple[str, ...]) -> list[str]:
    found = []
    for path in sources():
        name = path.relative_to(LIMS).as_posix()
        if not may(name, allowed):
            found += [f"{name}:{number}: {line.strip()}" for number, line in code(path) if re.search(pattern, line)]
    return found


@pytest.mark.parametrize("pattern", ONLY_IN)
def test_only_these_files_do_that(pattern: str) -> None:
    assert misplaced(pattern, ONLY_IN[pattern]) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"\.(commit|begin)\(", "    session.commit()"),
        (r"\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(", "moment = datetime.now(UTC)"),
        (r"\btime\.time(_ns)?\(", "started = time.time()"),
        (r"\buuid\.uuid\d\(|\buuid[1-68]\(|from uuid import .*uuid\d", "key = uuid.uuid4()"),
        (r"\bos\.(environ|getenv|putenv)\b", "os.environ['X']"),
        (r"\bHTTPException\b", "raise HTTPException(404)"),
        (r"\bexcept (Exception|BaseException)\b|\bexcept:", "    except Exception as error:"),
        (r"\bSYSTEM_ACTOR\b", "actor = SYSTEM_ACTOR"),
        (r"\bSystemCaller\(", "SystemCaller(database=database)"),
        (r"\blims\.(ledger|outbox)\b", "text('insert into lims.ledger values (1)')"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: str, line: str) -> None:
    assert pattern in ONLY_IN
    assert re.search(pattern, line)


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def test_every_public_function_of_a_service_says_its_rule() -> None:
    bare = [
        f"{path.parent.name}/service.py: {function.name}"
        for path in sorted(LIMS.glob("*/service.py"))
        for function in functions(path)
        if not ast.get_docstring(function)
    ]

    assert bare == []


def test_services_and_routes_are_plain_functions() -> None:
    coloured = [
        f"{path.relative_to(LIMS)}: {node.name}"
        for name in ("service", "queries", "router")
        for path in sorted(LIMS.glob(f"*/{name}.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]

    assert coloured == []


def test_no_route_holds_a_session_over_its_hop() -> None:
    """A `yield` dependency with a connection deadlocks the worker (a request holds a thread and waits for another)."""
    depending = [
        f"{path.relative_to(LIMS)}:{number}"
        for path in sources()
        for number, line in code(path)
        if re.search(r"Depends\(.*(session|transaction|connection)", line)
    ]

    assert depending == []


LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def careless(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS):
            continue
        target = node.func.value
        if isinstance(target, ast.IfExp) or (isinstance(target, ast.Name) and target.id in ("log", "logger")):
            constant = (
                len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
            )
            if not constant:
                yield f"{path}:{node.lineno}"


@pytest.mark.req("4.4.3")
def test_what_a_log_line_says_is_a_constant_and_its_facts_are_keys() -> None:
    """The message passes unshaped, so nothing may be put into it."""
    assert [place for path in sources() for place in careless(path)] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('log.info(f"registered {name}")', True),
        ('log.info("registered %s", name)', True),
        ("log.warning(name)", True),
        ('log.info("registered", patient_id=key)', False),
    ],
)
def test_a_message_with_something_in_it_is_found(tmp_path: Path, line: str, found: bool) -> None:
    (tmp_path / "scratch.py").write_text(line)

    assert bool(list(careless(tmp_path / "scratch.py"))) == found
