"""Write docs/cli.md from the command line itself.

Usage: python tools/write_cli_docs.py [--check]. With --check nothing is written; the exit status
is 1 if the page is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main

from mneme.cli.main import GROUPS, VERBS, app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
TYPE_NAMES = {"str": "TEXT", "integer": "INT"}  # as releases of Typer differ
SHARED = ("store", "namespace", "as_json", "help")

HEAD = """\
# The command line

Written by `python tools/write_cli_docs.py`; do not edit by hand.

`mneme VERB --help` says the same in the terminal, and `mneme --install-completion` teaches your
shell the verbs and options.

Every verb takes:

| option | means |
|---|---|
| `--store FOLDER` | the store; without it `MNEME_TARGET`, else the user's data folder |
| `--namespace`, `-n` | whom the memory belongs to, such as `acme/alice`; else `default` |
| `--json` | one JSON document on stdout and nothing else; an error is a JSON object on stderr |

Verbs that concern the whole store take `--namespace` too, and do nothing with it.

Exit status: 0 done, 1 not found or refused, 2 wrong usage, 3 store damaged, 4 a part unavailable,
130 interrupted. Times are ISO 8601, such as `2026-03-20` or `2026-03-20T14:05:00Z`. `-` reads stdin
where a text is asked for. Progress bars go to stderr, and only to a terminal. Before it ends, a
verb runs jobs that are due, for two seconds at most.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    for panel, verbs in VERBS.items():
        parts.append(f"## {panel}\n")
        parts += [section(name, group.commands[name]) for name in verbs]
        for first in GROUPS.get(panel, {}):
            seconds = group.commands[first].commands
            parts += [section(f"{first} {name}", verb) for name, verb in seconds.items()]
    return "\n".join(parts)


def section(name: str, command: Any) -> str:  # noqa: ANN401
    """One verb: what it does, how it is called, its own options."""
    own = [param for param in command.params if param.name not in SHARED]
    arguments = [param for param in own if param.param_type_name == "argument"]
    chosen = [param for param in own if param.param_type_name == "option" and not param.hidden]
    usage = " ".join(["mneme", name, *map(metavar, arguments)])
    usage += " [OPTIONS]" if chosen else ""
    lines = [f"### {name}\n", f"{command.help}\n", f"```\n{usage}\n```\n"]
    if chosen:
        lines += ["| option | means |", "|---|---|", *map(row, chosen), ""]
    return "\n".join(lines)


def metavar(argument: Any) -> str:  # noqa: ANN401
    """An argument as the usage line shows it."""
    shown = argument.metavar or argument.name.upper()
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def row(option: Any) -> str:  # noqa: ANN401
    """One line of a table of options."""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    kind = TYPE_NAMES.get(option.type.name, option.type.name.upper())
    value = "" if option.is_flag else f" {option.metavar or kind}"
    means = (option.help or "").replace("|", "\\|")
    if option.required:
        means += " Required."
    elif option.default not in {None, False}:
        means += f" [default: {option.default}]"
    return f"| {names}{value} | {means} |"


def main() -> int:
    """Write the page, or check it."""
    text = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
