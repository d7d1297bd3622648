"""`lims dashboards`: Streamlit on this machine only; a reverse proxy stands in front of it. And a chart as a file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dashboards.levey_jennings import command

APP = Path(__file__).parent / "app.py"
DEFAULT_PORT = 28501


def options(port: int) -> dict[str, bool | int | str]:
    """How Streamlit runs: loopback, without a browser, without reporting home, without showing errors to visitors."""
    return {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "global.developmentMode": False,
        "theme.primaryColor": "#0b5563",
        "theme.base": "light",
    }


def app(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped, or do what the command named says. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="lims dashboards", description="Serve the managers' and QC dashboards.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default {DEFAULT_PORT})")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    chart = commands.add_parser("levey-jennings", help="write one Levey-Jennings chart as PNG, without a browser")
    command.add_arguments(chart)
    arguments = parser.parse_args(argv)
    if arguments.command:
        return command.run(arguments)
    if not 1 <= arguments.port <= 65535:
        parser.error("--port must be between 1 and 65535")
    serve(arguments.port)
    return 0


def serve(port: int) -> None:
    """Run Streamlit's server in this process until it is told to stop."""
    from streamlit.web import bootstrap  # imports a web server; `lims --help` must not wait for it

    chosen = options(port)
    bootstrap.load_config_options(chosen)
    bootstrap.run(str(APP), is_hello=False, args=[], flag_options=chosen)


if __name__ == "__main__":
    raise SystemExit(app())
