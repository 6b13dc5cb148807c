"""Verbs with a model: chat, promote, demote."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import opened, progress_bar
from mneme.cli.training import TrainingOf, read_training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme import MemoryOS, Namespace, Reply
    from mneme.core.engine import Engine, RemoteEngine

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="FOLDER",
        help="Folder of a Hugging Face model (extra local); with --url, the model's name there.",
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of an OpenAI-compatible server that has the model."),
]
Key = Annotated[
    str | None, typer.Option("--key", envvar="MNEME_ENGINE_KEY", help="The server's key.")
]


def chat(
    question: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUESTION]...", help="Without one: a conversation, line by line."),
    ] = None,
    model: Model = "",
    url: Url = None,
    key: Key = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", help="Of recalled text.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", help="Most tokens of an answer.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Answer on a part of it: snapkv, sentences, scissorhands, ..."),
    ] = None,
    keep: Annotated[float | None, typer.Option(help="The share that the policy keeps.")] = None,
    adapters: Annotated[
        list[str] | None,
        typer.Option("--adapter", metavar="ID", help="On for the whole answer; may be repeated."),
    ] = None,
    session: opt.Session = None,
    remember: Annotated[
        bool, typer.Option("--remember/--no-remember", help="Keep the exchange.")
    ] = True,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Ask a model that has this memory: as text, and as keys and values of what was promoted."""
    given = opt.given(
        budget_tokens=budget_tokens, max_new_tokens=max_new_tokens, policy=policy, keep=keep,
        adapters=adapters,
    )  # fmt: skip
    with attached(store, model, url, key) as (memory, engine):
        space = memory.namespace(namespace)
        if question:
            _ask(space, engine, [_user(" ".join(question))], given | {"remember": remember},
                 session, as_json=as_json)  # fmt: skip
            return
        _converse(space, engine, given | {"remember": remember}, session, as_json=as_json)


def promote(
    targets: opt.Targets = None,
    filters: opt.Filters = None,
    to: Annotated[
        str, typer.Option(help="activation: keys and values; parametric: weights.")
    ] = "activation",
    model: Model = "",
    url: Url = None,
    key: Key = None,
    codec: Annotated[str | None, typer.Option(help="raw, bf16, int8, int4 or lowrank.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="Leaves tokens out; see docs/activation.md.")
    ] = None,
    keep: Annotated[float | None, typer.Option(help="The share that the policy keeps.")] = None,
    sentences: Annotated[
        bool, typer.Option("--sentences", help="Keep an index of sentences, for chat --policy.")
    ] = False,
    episodes: Annotated[
        bool, typer.Option("--episodes", help="Cut a conversation into episodes, a cube each.")
    ] = False,
    training: TrainingOf = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Let a model read cubes once: kept as keys and values, or facts written into weights."""
    with (
        attached(store, model, url, key) as (memory, engine),
        progress_bar("promote", quiet=as_json) as progress,
    ):
        made = memory.namespace(namespace).promote(
            targets, filters=opt.read_filters(filters), to=to, engine=engine,
            sentences=sentences, episodes=episodes,
            **opt.given(
                codec=codec, policy=policy, keep=keep, progress=progress,
                training=read_training(training),
            ),
        )  # fmt: skip
    if as_json:
        render.print_json([{"id": cube.id, **cube.metadata} for cube in made])
        return
    for cube in made:
        render.say(f"{cube.id}  {render.payload(cube)}")


def demote(
    cube_id: opt.CubeId,
    dry_run: opt.DryRun = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Drop the carriers of a cube, keys and values or weights; the text stays."""
    with opened(store) as memory:
        space = memory.namespace(namespace)
        carriers = space.carriers(cube_id)
        if not dry_run:
            space.demote(cube_id)
    if as_json:
        render.print_json({"demoted": [each.id for each in carriers], "dry_run": dry_run})
        return
    for each in carriers:
        render.say(f"{'would drop' if dry_run else 'dropped'} {each.id}: {render.payload(each)}")


def prove(
    model: Model = "",
    store: opt.Store = None,
    namespace: opt.WholeStore = "default",
    as_json: opt.Json = False,
) -> None:
    """Measure whether promoted texts may be moved in prompts of a model; if so, they are."""
    with in_process(store, model) as (memory, engine):
        proof = memory.prove(engine)
    if as_json:
        render.print_json(render.whole(proof))
        return
    render.say("passed" if proof.passed else "not passed: texts are computed anew where they move")
    for name, distance in (("moved", proof.composed), ("moved wrongly", proof.planted)):
        render.say(
            f"  {name}: same next token {100 * distance.agreement:.1f} %, "
            f"divergence {distance.divergence:.4f}, largest error of a logit {distance.error:.3f}"
        )


@contextmanager
def attached(
    store: str | None, model: str, url: str | None = None, key: str | None = None
) -> Iterator[tuple[MemoryOS, Engine | RemoteEngine]]:
    """A store with a model attached."""
    import mneme

    if not model:
        hint = "give a model's folder, or its name and --url"
        raise typer.BadParameter(hint, param_hint="--model")
    engine: Engine | RemoteEngine
    if url is None:
        engine = mneme.engine(Path(model))
    else:
        engine = mneme.remote_engine(model, url=url, key=key)
    with opened(store) as memory:
        memory.attach(engine)
        yield memory, engine


@contextmanager
def in_process(store: str | None, model: str) -> Iterator[tuple[MemoryOS, Engine]]:
    """A store with a model of this process attached."""
    with attached(store, model) as (memory, engine):
        yield memory, cast("Engine", engine)  # no url, so it is no remote one


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def _converse(
    space: Namespace,
    engine: Engine | RemoteEngine,
    given: dict[str, Any],
    session: str | None,
    *,
    as_json: bool,
) -> None:
    """Question by question until the input ends; each sees those before."""
    said: list[dict[str, str]] = []
    while True:
        if sys.stdin.isatty() and not as_json:
            render.say("> ", nl=False)
        line = sys.stdin.readline()
        if not line:
            return
        if not line.strip():
            continue
        said.append(_user(line.strip()))
        reply = _ask(space, engine, said, given, session, as_json=as_json)
        session = session or reply.session
        if reply.text:
            said.append({"role": "assistant", "content": reply.text})
        else:
            said.pop()  # no two questions in a row


def _ask(
    space: Namespace,
    engine: Engine | RemoteEngine,
    said: list[dict[str, str]],
    given: dict[str, Any],
    session: str | None,
    *,
    as_json: bool,
) -> Reply:
    live = not as_json and sys.stdout.isatty()
    note = (lambda piece: render.say(piece, nl=False)) if live else None
    reply = space.chat(said, engine=engine, session=session, note=note, **given)
    if as_json:
        render.print_json(
            {
                "text": reply.text,
                "session": reply.session,
                "plan": [asdict(item) for item in reply.plan],
                "timings": asdict(reply.timings),
            }
        )
        return reply
    render.say("" if live else reply.text)
    timings = reply.timings
    tiers = ", ".join(f"{n} from {tier}" for tier, n in timings.tokens_by_tier.items())
    render.say(
        f"[{timings.hit_tokens} of {timings.prompt_tokens} tokens kept"
        f"{f' ({tiers})' if tiers else ''}; first token after {timings.ttft_s:.3f} s]",
        err=True,
    )
    return reply
