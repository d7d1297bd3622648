"""The commands as their own parsers describe them: each command is asked for its parser and never run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

from tests.docs.source import project


class Described(BaseException):
    """Carries the parser out of the command, before it does anything."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


@dataclass(frozen=True)
class Command:
    """One command that can be typed as it is, e.g. `lims ingest decode`."""

    words: tuple[str, ...]
    about: str
    arguments: tuple[argparse.Action, ...]
    parser: argparse.ArgumentParser

    @property
    def options(self) -> set[str]:
        """Every way of writing every option."""
        return {text for action in self.arguments for text in action.option_strings}


@cache
def commands() -> tuple[Command, ...]:
    """Every command that `lims` dispatches to, by name."""
    entries: dict[str, str] = project()["project"]["entry-points"]["lims.commands"]
    return tuple(
        command for name in sorted(entries) for command in _under(("lims", name), _parser(entries[name]), about="")
    )


def _parser(entry: str) -> argparse.ArgumentParser:
    module, _, function = entry.partition(":")
    run: Any = getattr(import_module(module), function)

    def describe(parser: argparse.ArgumentParser, *_arguments: Any, **_more: Any) -> None:
        raise Described(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", describe):
        try:
            run([])
        except Described as answer:
            return answer.parser
    raise AssertionError(f"{entry} has no parser")


def _under(words: tuple[str, ...], parser: argparse.ArgumentParser, *, about: str) -> Iterator[Command]:
    own = tuple(action for action in parser._actions if not isinstance(action, argparse._HelpAction))
    branches = [action for action in own if isinstance(action, argparse._SubParsersAction)]
    if not any(branch.required for branch in branches):
        plain = tuple(action for action in own if action not in branches)
        yield Command(words, about or parser.description or "", plain, parser)
    for branch in branches:
        said = {choice.dest: choice.help or "" for choice in branch._choices_actions}
        for name, inner in branch.choices.items():
            yield from _under((*words, name), inner, about=said.get(name, ""))


def explained(command: Command, action: argparse.Action) -> str:
    """An argument's help with its default filled in."""
    if not action.help:
        return ""
    return command.parser._get_formatter()._expand_help(action)
