"""Options that several commands share: parameters, resources, places, trust."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.shell_completion import CompletionItem

from value_props.errors import ValuePropsError
from value_props.parameters import PARAMETERS, folder_of, switch_of
from value_props.publish.out_path import OutPath
from value_props.publish.places import Place, is_address, place_of
from value_props.resources import RESOURCES

DEFAULT_RAW = Path("data/raw")
DEFAULT_OUT = Path("data/out")
DEFAULT_BACKFILL = Path("data/backfill")
DEFAULT_STORE = Path("data/store")
Command = TypeVar("Command", bound=Callable[..., Any])
# Without a project, its parameters are unknown. Then the command must reach its own error message.
WITH_PARAMETERS = {"ignore_unknown_options": not PARAMETERS, "allow_extra_args": not PARAMETERS}


def parameter_options(command: Command, without: Collection[str] = ()) -> Command:
    """Add an option for each parameter of a run, except some."""
    for parameter in reversed(PARAMETERS):
        if parameter.name in without:
            continue
        if parameter.is_switch:
            command = switch(parameter.flag, parameter.meaning)(command)
            continue
        default = f" Default: {parameter.default}." if parameter.default else ""
        option = click.option(
            parameter.flag,
            parameter.name,
            help=parameter.meaning + default,
            metavar=parameter.name.upper(),
            default="",
            shell_complete=_one_of(parameter.choices),
        )
        command = option(command)
    return command


def _one_of(texts: Collection[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a function that completes some texts in the shell."""
    return lambda _context, _option, typed: [text for text in texts if text.startswith(typed)]


def switch(flag: str, meaning: str) -> Callable[[Command], Command]:
    """Add an option that is a bare flag or takes the text of a switch, as make passes it."""

    def read(_context: click.Context, _option: click.Parameter, text: str) -> bool:
        return switch_of(text, f"Parameter {flag}")

    return click.option(
        flag, is_flag=False, flag_value="on", default="", metavar="", callback=read, help=meaning
    )


def resource_options(command: Command) -> Command:
    """Add the options that limit memory, threads and temporary files."""
    for resource in reversed(RESOURCES):
        default = f" Default: {resource.default}." if resource.default else ""
        option = click.option(
            resource.flag,
            resource.name,
            help=f"{resource.meaning}{default} Also {resource.variable}.",
            metavar=resource.metavar,
            default="",
        )
        command = option(command)
    return command


def trust_options(command: Command) -> Command:
    """Add the options that trust earlier runs less."""
    command = switch("--full-refresh", "Read and parse every raw file again.")(command)
    return switch("--rehash", "Hash every raw file, even if its size and times are unchanged.")(
        command
    )


def place_option(
    kind: Literal["raw", "out"], default: Path, meaning: str
) -> Callable[[Command], Command]:
    """Add the option --raw or --out.

    Args:
        kind: which of them.
        default: the folder if neither the option nor its variable is set.
        meaning: the beginning of its help.
    """
    variable = {"raw": "VALUE_PROPS_RAW", "out": "VALUE_PROPS_OUT"}[kind]

    def place(_context: click.Context, _option: click.Parameter, text: str) -> Place:
        # make passes an empty text if the user gave no value.
        return place_of(text or os.environ.get(variable, "") or str(default), kind)

    return click.option(
        f"--{kind}",
        default="",
        metavar="PATH",
        callback=place,
        shell_complete=complete_folder,
        help=f"{meaning}: a folder, s3://bucket/prefix, gs://… or az://… Default: {default}."
        f" Also {variable}.",
    )


def complete_folder(
    _context: click.Context, _option: click.Parameter, typed: str
) -> list[CompletionItem]:
    """Have the shell complete the name of a folder."""
    return [CompletionItem(typed, type="dir")]


def complete_run(context: click.Context, _option: click.Parameter, typed: str) -> list[str]:
    """Complete the id of a kept run of a local out path."""
    out = context.params.get("out")
    # Asking a store for it would keep the user waiting.
    if not isinstance(out, Place) or out.bucket:
        return []
    return [run_id for run_id in OutPath(out.folder).run_ids() if run_id.startswith(typed)]


def folder_reader(flag: str) -> Callable[[click.Context, click.Parameter, str], Path]:
    """Return a click callback that reads a folder of this machine."""

    def read(_context: click.Context, _option: click.Parameter, text: str) -> Path:
        if is_address(text):
            raise ValuePropsError(
                f"'{text}' is no folder of this machine", f"Parameter {flag}", "Name a folder"
            )
        return folder_of(text, f"Parameter {flag}")

    return read


raw_option = place_option("raw", DEFAULT_RAW, "Where the raw files are")
out_option = place_option("out", DEFAULT_OUT, "Where results are published")
