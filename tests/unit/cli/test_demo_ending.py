"""What the demonstration tells of who may sign in."""

from pathlib import Path

from rich.console import Console

from lims_api.cli.demo.ending import logins
from lims_api.cli.seeding import STAFF


def test_every_member_of_staff_is_named_with_what_they_may_do() -> None:
    table = logins([], Path("var"))

    console = Console(width=200, record=True)
    console.print(table)
    printed = console.export_text()
    assert table.row_count == len(STAFF)
    assert all(f"{username}.password" in printed for username, *_ in STAFF)
