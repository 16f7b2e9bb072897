"""The top of the command line: knows every command by name, and imports only the one that runs."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Of each module in this package: its commands' names, and the first line of each one's help.
CommandsOf = Mapping[str, Mapping[str, str]]


class Commands(TyperGroup):
    """All commands, those of a group in the module that `CommandsOf` names."""

    def __init__(self, modules: CommandsOf, **attributes: Any) -> None:
        self._module_of = {name: module for module, names in modules.items() for name in names}
        shown = [
            TyperCommand(name, help=line)
            for names in modules.values()
            for name, line in names.items()
        ]
        super().__init__(
            name="app", commands=shown, no_args_is_help=True, rich_markup_mode="rich", **attributes
        )

    def whole(self, name: str) -> Any:
        """Gives a command with its options, from its group's module."""
        module = importlib.import_module(f"app.cli.{self._module_of[name]}")
        return typer.main.get_group(module.group).commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Finds the command that the words name; imports its module."""
        name, found, words = super().resolve_command(ctx, args)
        command = self.whole(name) if name and found else found
        # What is imported by now stays: looking through it again and again would be in vain.
        gc.freeze()
        gc.enable()
        return name, command, words
