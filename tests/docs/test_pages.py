"""What is written by hand: links resolve, what it names exists, its commands are commands, its blocks run."""

import json
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs import source
from tests.docs.source import ROOT

pytestmark = pytest.mark.xdist_group("docs")

README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
SECTIONS = ["## Context", "## Decision", "## Consequences", "## Alternatives", "## References"]
TOP = {"lims_api", "ingest", "pipelines", "dbt", "ml", "dashboards", "tests", "docs"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    for path in PAGES:
        for found in re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), flags=re.DOTALL):
            yield path, found


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings get, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    plain = (unicodedata.normalize("NFC", heading).lower().replace("`", "") for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / file).resolve() if file else path
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(target)

    assert broken == []


@cache
def names_of_tests() -> set[str]:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return {found for file in files for found in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_files_and_tests_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"`([^`\s]+)`", prose(path))
    files = [one for one in named if one.split("/")[0] in TOP and "/" in one and not set(one) & set("<{*…")]
    tests = [one for one in named if re.fullmatch(r"test(_[a-z0-9]+){4,}", one)]

    assert [one for one in files if not (ROOT / one).exists()] == []
    assert [one for one in tests if one not in names_of_tests()] == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = {README}, [README]
    while waiting:
        here = waiting.pop()
        for target in re.findall(r"\]\(([^)#\s]+)", prose(here)):
            there = (here.parent / target).resolve()
            there = there / "README.md" if there.is_dir() else there
            if there.suffix == ".md" and there.exists() and there not in reached:
                reached.add(there)
                waiting.append(there)

    unreached = set(PAGES) - reached - {ROOT / "docs" / "reference" / "benchmarks.md"}  # where `make bench` has run
    assert sorted(map(name, unreached)) == []


def test_the_readme_has_two_screens_at_most() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 100


def test_the_readme_lists_what_make_lists() -> None:
    listed = re.findall(r"^  make (\w+) +(.*)$", README.read_text("utf-8"), re.MULTILINE)

    assert listed == source.make_targets()


@pytest.mark.parametrize("path", ADRS, ids=name)
def test_a_decision_has_its_five_parts_and_sixty_lines_at_most(path: Path) -> None:
    text = path.read_text("utf-8")

    assert [line for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    assert len(text.splitlines()) <= 60
    assert path.stem[:4] == re.match(r"# (\d{4}) ", text)[1]  # type: ignore[index]
    references = text.partition("## References")[2]
    assert re.search(r"`tests/", references), "names a test"
    assert re.search(r"`(?!tests/)\w+/", references), "names code"


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")

    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    assert [path.name for path in ADRS if path.name not in index] == []


FORBIDDEN = {
    "a path of somebody's machine": r"(?<![\w/.])/(?:work|root|home|Users)/",
    "a package host": r"(?i)\b(?:pyp[i]|pythonhoste[d]|npm[j]s|github|gitlab|dockerhub|conda)\b\.?",
    "a private address": r"\b(?:10|192\.168)\.\d+\.\d+",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_page_holds(what: str) -> None:
    every = [*PAGES, ROOT / "docs" / "reference" / "openapi.json"]

    assert [name(path) for path in every if re.search(FORBIDDEN[what], path.read_text("utf-8"))] == []


# commands


def command_lines(program: str) -> Iterator[tuple[Path, list[str]]]:
    for path, block in blocks("bash[^\n]*"):
        joined = block.replace("\\\n", " ")
        for line in joined.splitlines():
            found = re.match(rf"\s*(?:\w+=\S+ )?({program} [^#|>&]*)", line)
            if found:
                yield path, shlex.split(found[1])


def test_every_lims_command_in_a_page_is_one_with_these_options() -> None:
    from tests.docs import parsers

    known = {command.words: command for command in parsers.commands()}
    wrong, seen = [], 0
    for path, words in command_lines("lims"):
        seen += 1
        command = next((known[tuple(words[:n])] for n in (3, 2) if tuple(words[:n]) in known), None)
        options = {word for word in words if word.startswith("--")}
        if command is None or not options <= command.options | {"--help"}:
            wrong.append(f"{name(path)}: {' '.join(words)}")

    assert seen > 10
    assert wrong == []


def test_every_make_target_in_a_page_exists() -> None:
    targets = {target for target, _ in source.make_targets()}
    said = re.compile(r"`make (\w+)")
    spoken = {target for path in PAGES for target in said.findall(path.read_text("utf-8"))}
    typed = {words[1] for _, words in command_lines("make")}

    assert spoken | typed <= targets


def _any_id(route: str) -> str:
    """A route with its ids, variables and test codes made one."""
    return re.sub(r"\{\w+\}|\$\w+|(?<=/tests/)[A-Z]+", "*", route.rstrip("/"))


def test_every_route_in_a_page_exists() -> None:
    from tests.docs.pages import application

    known = {re.sub(r"\{\w+\}", "*", path) for path in application().openapi()["paths"]}
    unknown = []
    for path in PAGES:
        spoken = re.findall(r"(?<![\w.])/v1/[\w/{}$-]*", path.read_text("utf-8"))
        unknown += [f"{name(path)}: {said}" for said in spoken if _any_id(said) not in known]

    assert unknown == []


@pytest.mark.parametrize("language", ["python", "python - <<'PY'"])
def test_python_in_a_page_is_python_and_what_it_imports_exists(language: str) -> None:
    if language == "python":
        scripts = [(path, text) for path, text in blocks("python")]
    else:
        scripts = [
            (path, found)
            for path, text in blocks("bash[^\n]*")
            for found in re.findall(r"python - <<'PY'\n(.*?)\nPY\n", text, flags=re.DOTALL)
        ]
    assert scripts
    for path, text in scripts:
        compile(text, name(path), "exec")
        imports = "\n".join(re.findall(r"^(?:from [\w.]+ import .*|import .*)$", text, re.MULTILINE))
        exec(imports, {})  # noqa: S102  the imports of our own pages


RUNNABLE = list(blocks("bash test"))


def test_some_blocks_are_run() -> None:
    assert len(RUNNABLE) >= 2


@pytest.mark.parametrize(("path", "block"), RUNNABLE, ids=[name(path) for path, _ in RUNNABLE])
def test_a_block_that_is_marked_runs(path: Path, block: str, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests", target_is_directory=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_lims_command_explains_itself_when_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lims_api.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "lims serve" in done.stdout


def test_the_published_interface_is_json_with_every_schema_named() -> None:
    interface = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text("utf-8"))
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(interface)))

    assert referred <= set(interface["components"]["schemas"])
