"""`lims`: one command over every program's own commands (entry points of the group `lims.commands`)."""

import sys
from importlib.metadata import entry_points


def main(argv: list[str] | None = None) -> int:
    """Dispatch to the command named first; list them without one."""
    arguments = sys.argv[1:] if argv is None else argv
    commands = {entry.name: entry for entry in entry_points(group="lims.commands")}
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: lims COMMAND …\n\ncommands:")
        for name in sorted(commands):
            print(f"  lims {name}")
        print("\nlims COMMAND --help says what a command takes.")
        return 0
    if arguments[0] not in commands:
        print(f"lims: there is no command '{arguments[0]}'; `lims --help` lists them", file=sys.stderr)
        return 2
    status = commands[arguments[0]].load()(arguments[1:])
    return int(status or 0)
