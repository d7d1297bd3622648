"""The parts that screens are made of, each by itself in a real browser: keyboard, speed, scanner, charts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ports import free_port
from tests.web.app import App
from tests.web.keystrokes import PAINTED, parts_page, typed


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of `web/tests/page`, built and served."""
    with parts_page(tmp_path_factory.mktemp("page"), free_port(29_200, 29_600)) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, components: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    opened.goto(components)
    yield opened
    context.close()


def cell(page: Page, row: int, column: int) -> str:
    return page.locator(f"tbody tr:nth-child({row + 1}) td:nth-child({column + 1})").inner_text().strip()


def focused(page: Page) -> tuple[int, int]:
    """Row and column of the cell that has the focus."""
    where = page.evaluate(
        "() => { const cell = document.activeElement.closest('td');"
        " return cell && [cell.parentElement.sectionRowIndex, cell.cellIndex] }"
    )
    return tuple(where) if where else (-1, -1)


def at(page: Page, row: int, column: int) -> None:
    page.locator(f"tbody tr:nth-child({row + 1}) td:nth-child({column + 1})").click()
    assert focused(page) == (row, column)


def test_arrows_and_their_friends_move_in_the_grid(page: Page) -> None:
    at(page, 2, 1)
    reached = []
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "End", "Control+End", "Control+Home", "PageDown"):
        page.keyboard.press(key)
        reached.append(focused(page))

    assert reached == [(3, 1), (3, 2), (2, 2), (2, 1), (2, 19), (49, 19), (0, 0), (10, 0)]


def test_one_cell_alone_is_in_the_order_of_tab(page: Page) -> None:
    assert page.locator("tbody td[tabindex='0']").count() == 1


def test_typing_edits_enter_keeps_and_goes_down(page: Page) -> None:
    at(page, 0, 1)
    page.keyboard.type("5.4")
    page.keyboard.press("Enter")
    page.keyboard.type("6.1")
    page.keyboard.press("Enter")

    assert (cell(page, 0, 1), cell(page, 1, 1), focused(page)) == ("5.4", "6.1", (2, 1))


def test_tab_keeps_and_skips_what_is_not_edited(page: Page) -> None:
    at(page, 0, 3)
    page.keyboard.type("7")
    page.keyboard.press("Tab")

    assert (cell(page, 0, 3), focused(page)) == ("7", (0, 5))


def test_escape_leaves_the_cell_as_it_was(page: Page) -> None:
    at(page, 0, 1)
    page.keyboard.type("9")
    page.keyboard.press("Escape")

    assert (cell(page, 0, 1), focused(page)) == ("0", (0, 1))


def test_what_is_typed_is_kept_when_the_field_is_left_by_the_mouse(page: Page) -> None:
    at(page, 0, 1)
    page.keyboard.type("8")
    page.locator("tbody tr:nth-child(5) td:nth-child(6)").click()

    expect(page.locator("tbody tr:nth-child(1) td:nth-child(2)")).to_have_text("8")


def test_a_value_stays_with_its_specimen_when_a_row_comes_in_above(page: Page) -> None:
    at(page, 1, 1)
    page.keyboard.type("4.2")
    page.get_by_role("button", name="add above").click()
    page.keyboard.press("Enter")

    row = page.locator("tbody tr", has_text="26-000002")
    expect(row.locator("td:nth-child(2)")).to_have_text("4.2")
    expect(page.locator("tbody tr", has_text="26-000001").locator("td:nth-child(2)")).to_have_text("0")


def test_a_keystroke_is_painted_nearly_as_soon_as_in_a_bare_field(page: Page) -> None:
    """50 rows, 20 columns; from the key's own time stamp to the frame that shows it, the best of three rounds.

    The requirement is 50 ms; how long this machine's browser takes for a bare field besides is its own affair.
    """
    page.evaluate(PAINTED)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('input'), {id: 'bare', ariaLabel: 'bare'}))"
    )
    page.locator("#bare").focus()
    bare = [typed(page) for _ in range(3)]
    page.evaluate("document.getElementById('bare').remove()")
    at(page, 0, 1)
    grid = [typed(page) for _ in range(3)]
    print("keystroke to painted, median and p95 in ms, bare and grid:", bare, grid)
    assert min(median for median, _ in grid) < 4 * min(median for median, _ in bare)


def test_scans_that_come_fast_are_taken_in_order_and_the_focus_stays(page: Page, components: str) -> None:
    page.goto(components + "?show=scanner")
    expect(page.locator("[name=scan]")).to_be_focused()
    for code in ("slow1", "26-2", "bad3"):
        page.keyboard.type(code)
        page.keyboard.press("Enter")

    expect(page.locator("#seen")).to_have_text("slow1 26-2 bad3")
    expect(page.locator(".verdict.refused")).to_contain_text("bad3 seen")
    page.locator("h1").click()
    page.wait_for_timeout(50)
    assert page.evaluate("document.activeElement.name") == "scan"


def test_the_scanner_lets_the_focus_go_to_something_else(page: Page, components: str) -> None:
    page.goto(components + "?show=scanner")
    expect(page.locator("[name=scan]")).to_be_focused()
    page.keyboard.press("Tab")

    expect(page.get_by_role("button", name="elsewhere")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["grid", "scanner", "charts"])
def test_no_part_has_a_violation(page: Page, components: str, part: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{components}?show={part}")
    page.locator("main > :nth-child(2)").wait_for()

    assert App.violations_of(page) == []


def test_the_barcode_reads_as_code_128(page: Page, components: str) -> None:
    """Start, 26-000123 in the sets that are shortest, a check character, stop: 11 modules each, the stop 13."""
    page.goto(components + "?show=charts")
    path = page.locator(".barcode path").get_attribute("d") or ""
    width = sum(float(part.split("h")[1].split("v")[0]) for part in path.split("M")[1:])

    box = page.locator(".barcode").get_attribute("viewBox") or ""
    modules = float(box.split()[2]) - 20
    assert (modules - 13) % 11 == 0
    assert 0 < width < modules
