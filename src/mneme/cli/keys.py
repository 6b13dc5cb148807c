"""The verbs `keys add`, `keys list`, `keys rotate` and `keys revoke`: who may call the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import opened
from mneme.core.plain import plain

if TYPE_CHECKING:
    from mneme.vault.keys import AccessKey

app = typer.Typer(no_args_is_help=True, help="Keys to the server: who may do what, where.")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of a key, as `keys list` shows it.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Who will hold it; audit entries say it.")],
    namespaces: Annotated[
        list[str],
        typer.Option(
            "--namespace",
            "-n",
            help="Where it holds: alice, acme/* (all below acme) or * (all); may be repeated.",
        ),
    ],
    verbs: Annotated[
        list[str] | None,
        typer.Option(
            "--verb",
            help="read, add, update, forget, erase, export, import, chat; may be repeated.  "
            "[default: all of these]",
        ),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="It looks after keys too; with -n '*', all of them.")
    ] = False,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="TIME", help="Refused from then on.")
    ] = None,
    requests_per_s: Annotated[
        float | None, typer.Option("--requests-per-s", help="Its own limit.")
    ] = None,
    store: opt.Store = None,
    as_json: opt.Json = False,
) -> None:
    """Make a key, and print it this once."""
    allowed = [*(verbs or ["*"]), *(["admin"] if admin else [])]
    with opened(store) as memory:
        made = memory.make_key(
            name,
            namespaces=namespaces,
            verbs=allowed,
            expires_at=expires_at,
            requests_per_s=requests_per_s,
        )
    _show_new(*made, as_json=as_json)


@app.command("list")
def list_(
    store: opt.Store = None, namespace: opt.WholeStore = "", as_json: opt.Json = False
) -> None:
    """List the keys, without their secrets."""
    with opened(store) as memory:
        keys = memory.list_keys()
    if as_json:
        render.print_json(keys)
        return
    for key in keys:
        _show(key)
    if not keys:
        render.say("there are no keys; `mneme keys add` makes one")


@app.command("rotate")
def rotate(
    id: KeyId,  # noqa: A002 (the name that the command line shows)
    overlap_s: Annotated[
        float, typer.Option("--overlap-s", help="Seconds for which the old secret works too.")
    ] = 0.0,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Give a key a new secret, and print it this once."""
    with opened(store) as memory:
        made = memory.rotate_key(id, overlap_s=overlap_s)
    _show_new(*made, as_json=as_json)


@app.command("revoke")
def revoke(
    id: KeyId,  # noqa: A002
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Refuse a key from now on, in every process."""
    with opened(store) as memory:
        memory.revoke_key(id)
    if as_json:
        render.print_json({"revoked": id})
    else:
        render.say(f"{id} is revoked")


def _show_new(text: str, key: AccessKey, *, as_json: bool) -> None:
    if as_json:
        render.print_json({"key": text} | plain(key))
        return
    render.say(text, fg="green")
    render.say("It is shown this once: keep it.", err=True)


def _show(key: AccessKey) -> None:
    render.say(f"{key.id}  {key.name}  made {render.when(key.made_at)}", bold=True)
    for grant in key.grants:
        render.say(f"    {', '.join(grant.verbs)} on {', '.join(grant.namespaces)}")
    moments = {"expires": key.expires_at, "new secret": key.rotated_at, "old until": key.old_until}
    said = [f"{what} {render.when(at)}" for what, at in moments.items() if at is not None]
    if key.requests_per_s is not None:
        said.append(f"{key.requests_per_s:g} requests a second")
    if said:
        render.say(f"    {', '.join(said)}", dim=True)
