"""Principals who try to see what is not theirs: a planted world, and requests that pry.

Each principal owns namespaces with planted tokens: words that stand nowhere else, in texts,
metadata, speakers, sessions, labels, keys of requests, old versions, forgotten and erased memories.
A request may name anything of another but its tokens: ids, namespaces, cursors, jobs. So a token of
another that comes back, in a body or a header, is a leak.

    world = plant(memory, random.Random(1), principals=20, tokens=50)
    asked = world.pry(rng, intruder)
    world.leaked(intruder, response_text)
"""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from random import Random

    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace

_TOKEN = re.compile(r"tkn[a-z]{14}", re.IGNORECASE)
_HIDDEN_SHARE = 0.15
_SHARED = "team/shared"
_WORDS = ("where", "who", "when", "key", "sister", "token", "door", "garden", "secret", "last week")


class Asked(NamedTuple):
    """One request.

    Attributes:
        method: Of HTTP.
        path: With its query.
        body: JSON, raw bytes, or None.
        headers: Beside the key.
        named: The id that it names, if it names one that may be another's.
    """

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Intruder:
    """A principal: its key, the namespaces that it owns, and what it may read besides."""

    name: str
    key: str
    own: tuple[str, ...]
    reads: frozenset[str]


@dataclass(slots=True)
class World:
    """What was planted where."""

    intruders: list[Intruder] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)  # token -> namespace
    gone: set[str] = field(default_factory=set)  # forgotten or erased: nobody's to read
    ids: dict[str, list[str]] = field(default_factory=dict)  # namespace -> cube ids
    cursors: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)  # forgotten cube -> token

    def note(self, asked: Asked, status: int) -> None:
        """What an answered request changed: an owner may restore what was forgotten."""
        if asked.path.endswith("/restore") and status < 300 and asked.named in self.hidden:
            self.gone.discard(self.hidden[asked.named])

    def leaked(self, intruder: Intruder, text: str) -> set[str]:
        """Tokens in an answer that this principal may not see."""
        return {
            token
            for token in {found.lower() for found in _TOKEN.findall(text)}
            if token in self.gone or self.planted.get(token) not in intruder.reads
        }

    def pry(self, rng: Random, intruder: Intruder) -> Asked:
        """A request: mostly well formed, often with what belongs to another."""
        return _Pry(rng, self, intruder).request()


def token(rng: Random) -> str:
    """A word that stands nowhere else."""
    return "tkn" + "".join(rng.choices(string.ascii_lowercase, k=14))


def plant(memory: MemoryOS, rng: Random, *, principals: int = 20, tokens: int = 50) -> World:
    """Fill a store: each principal's namespaces hold `tokens` tokens.

    Args:
        memory: An empty store.
        rng: Decides everything.
        principals: At least 2; the first three share a namespace.
        tokens: Of each.
    """
    world = World()
    for number in range(principals):
        name = f"owner{number:02}"
        own: tuple[str, ...] = (f"{name}/home", f"{name}/work") if number % 3 else (name,)
        patterns = [f"{name}/*"] if number % 3 else [name]
        if number < 3:
            own += (_SHARED,)
            patterns.append(_SHARED)
        verbs = ["*", "admin"] if number % 4 == 1 else ["*"]  # admin of nothing but their own
        key, _ = memory.make_key(name, namespaces=patterns, verbs=verbs)
        world.intruders.append(Intruder(name, key, own, frozenset(own)))
        for at in range(tokens):
            _keep(memory.namespace(own[at % len(own)]), world, rng, at)
    memory.drain()
    return world


def _keep(space: Namespace, world: World, rng: Random, at: int) -> None:
    """Plant one token in one of the places where a memory says something."""
    word = token(rng)
    world.planted[word] = space.path
    said: dict[str, Any] = {"content": f"My {rng.choice(_WORDS)} number {at} says {word}."}
    place = at % 8
    if place == 1:
        said = {"content": f"A note, number {at}.", "metadata": {"word": word, word: at}}
    elif place == 2:
        said = {"content": f"Said by somebody, {at}.", "speaker": word}
    elif place == 3:
        said |= {"session": word, "labels": [word], "idempotency_key": word}
    elif place == 4:
        text = f"# Part {at}\n\nThe door opens with {word}.\n\n# End\n\nNo more."
        said = {"content": text, "type": "document"}
    [cube, *rest] = space.add(**said)
    world.ids.setdefault(space.path, []).extend([cube.id, *(each.id for each in rest)])
    if place == 5:
        space.update(cube.id, text=f"Changed at {at}; it says nothing now.")  # history has it
    if rng.random() < _HIDDEN_SHARE:
        if rng.random() < 0.5:
            space.forget(cube.id)
            world.hidden[cube.id] = word
        else:
            space.erase(cube.id)
        world.gone.add(word)


class _Pry:
    """Makes one request of a principal."""

    def __init__(self, rng: Random, world: World, intruder: Intruder) -> None:
        self._rng, self._world, self._who = rng, world, intruder

    def request(self) -> Asked:
        makers = (
            self._search, self._search, self._recall, self._list, self._by_id, self._by_id,
            self._by_id, self._change, self._remove, self._export, self._bad, self._whole_store,
            self._mcp, self._mcp, self._chat, self._add, self._page,
        )  # fmt: skip
        return self._rng.choice(makers)()

    # -- what a request may name

    def _space(self) -> str:
        """A namespace as in a URL: mostly an own one."""
        rng, who = self._rng, self._who
        other = rng.choice([i for i in self._world.intruders if i is not who])
        path = rng.choice(who.own) if rng.random() < 0.7 else rng.choice(other.own)
        if rng.random() < 0.05:
            path = rng.choice([f"{path}/deeper", path.split("/")[0], f"{path}x", "nobody"])
        return path.replace("/", "~")

    def _id(self) -> str:
        """A cube's id: an own one, another's, or nobody's."""
        rng = self._rng
        if rng.random() < 0.1:
            return rng.choice([missing_id(rng), "x", "0", "*", "%2e%2e", "null"])
        path = rng.choice(list(self._world.ids))
        return rng.choice(self._world.ids[path])

    def _query(self) -> str:
        return " ".join(self._rng.choices(_WORDS, k=self._rng.randint(1, 4))) + " says"

    def _filters(self) -> dict[str, Any]:
        rng = self._rng
        fields: tuple[tuple[str, Any], ...] = (
            ("type", rng.choice(["turn", "document", "fact", {"ne": "turn"}])),
            ("session", {"exists": True}),
            ("speaker", {"gte": "a"}),
            ("state", rng.choice(["forgotten", "activated", {"in": ["archived", "forgotten"]}])),
            ("metadata.word", rng.choice([{"exists": True}, {"gt": ""}, {"ne": "' OR 1=1 --"}])),
            ("recorded_at", {"lt": "2099-01-01"}),
            ("origin", {"ne": "tool"}),
            ("namespace", rng.choice(self._world.intruders).own[0]),
        )
        return dict(rng.sample(fields, k=rng.randint(1, 2)))

    # -- the requests

    def _search(self) -> Asked:
        rng = self._rng
        body: dict[str, Any] = {"query": self._query(), "limit": rng.choice([1, 5, 50, 1000])}
        if rng.random() < 0.5:
            body["filters"] = self._filters()
        extras: tuple[tuple[str, Any], ...] = (
            ("mode", rng.choice(["lexical", "dense", "hybrid"])),
            ("include_archived", True),
            ("explain", True),
            ("as_of", "2099-01-01"),
            ("kinds", ["plaintext", "activation", "parametric"]),
            ("namespace", rng.choice(self._world.intruders).own[0]),
        )
        body |= {name: value for name, value in extras if rng.random() < 0.2}
        return Asked("POST", f"/v1/namespaces/{self._space()}/search", body)

    def _recall(self) -> Asked:
        body = {"query": self._query(), "budget_tokens": self._rng.choice([0, 100, 5000])}
        return Asked("POST", f"/v1/namespaces/{self._space()}/recall", body)

    def _list(self) -> Asked:
        rng, world = self._rng, self._world
        query = f"?limit={rng.choice([1, 10, 1000, 0, 'x'])}"
        if world.cursors and rng.random() < 0.5:
            query += f"&cursor={rng.choice(world.cursors)}"
        if rng.random() < 0.3:
            query += "&filters=" + json.dumps(self._filters()).replace(" ", "%20")
        if rng.random() < 0.3:
            query += "&include_archived=true"
        return Asked("GET", f"/v1/namespaces/{self._space()}/memories{query}")

    def _by_id(self) -> Asked:
        named = self._id()
        tail = self._rng.choice(
            ["", "", "/history", "/history", "/sources", "/derived", "?version=1", "?version=2",
             "?as_of=2099-01-01", "?include_archived=true"]
        )  # fmt: skip
        path = f"/v1/namespaces/{self._space()}/memories/{named}{tail}"
        return Asked("GET", path, named=named)

    def _change(self) -> Asked:
        named, rng = self._id(), self._rng
        path = f"/v1/namespaces/{self._space()}/memories/{named}"
        if rng.random() < 0.5:
            body: dict[str, Any] = {"metadata": {"seen": rng.randint(0, 9)}}
            headers = {"If-Match": f'"{rng.randint(1, 3)}"'} if rng.random() < 0.5 else {}
            return Asked("PATCH", path, body, headers, named)
        verb = rng.choice(["rollback", "archive", "activate", "freeze", "unfreeze", "restore"])
        body = {"to_version": 1} if verb == "rollback" else {}
        return Asked("POST", f"{path}/{verb}", body or None, {}, named)

    def _remove(self) -> Asked:
        named, rng = self._id(), self._rng
        root = f"/v1/namespaces/{self._space()}"
        if rng.random() < 0.5:
            body: dict[str, Any] = {"target": named, "dry_run": True}
            return Asked("POST", f"{root}/erase", body, {}, named)
        body = {"filters": {"session": "no such session"}}
        return Asked("POST", f"{root}/forget", body)

    def _export(self) -> Asked:
        root = f"/v1/namespaces/{self._space()}"
        if self._rng.random() < 0.5:
            return Asked("POST", f"{root}/export")
        raw = b'{"role": "user", "content": "imported"}\n' + self._rng.randbytes(8)
        return Asked("POST", f"{root}/import?format=jsonl", raw)

    def _bad(self) -> Asked:
        rng = self._rng
        root = f"/v1/namespaces/{self._space()}"
        raw = rng.choice([b"{", b"[]", b"null", b"\xff\xfe", b'{"query": 1e999}', b'{"q":"x"}'])
        return Asked("POST", f"{root}/{rng.choice(['search', 'recall', 'erase', 'nothing'])}", raw)

    def _whole_store(self) -> Asked:
        paths = ["/v1/namespaces", "/v1/namespaces?prefix=owner", "/v1/jobs", "/v1/stats",
                 "/v1/audit", "/v1/keys", "/metrics", "/healthz", "/openapi.json"]  # fmt: skip
        if self._world.jobs:
            paths += [f"/v1/jobs/{self._rng.choice(self._world.jobs)}"] * 3
        return Asked("GET", self._rng.choice(paths))

    def _mcp(self) -> Asked:
        """A call of a tool; whoever sends it speaks the protocol."""
        rng = self._rng
        if rng.random() < 0.2:
            named, space = self._id(), self._space()
            uri = rng.choice(["mneme://namespaces", f"mneme://{space}", f"mneme://{space}/{named}"])
            return Asked("MCP", uri, named=named if named in uri else None)
        name = rng.choice(["search_memory", "recall_memory", "get_memory", "list_memories",
                           "memory_history", "update_memory"])  # fmt: skip
        arguments: dict[str, Any] = {}
        if rng.random() < 0.8:
            arguments["namespace"] = self._space().replace("~", "/")
        if name in {"search_memory", "recall_memory"}:
            arguments["query"] = self._query()
        elif name != "list_memories":
            arguments["id"] = self._id()
        if name == "update_memory":
            arguments["metadata"] = {"seen": 1}
        return Asked("MCP", name, arguments, named=arguments.get("id"))

    def _chat(self) -> Asked:
        body = {"model": "m", "messages": [{"role": "user", "content": self._query()}]}
        headers = {"X-Mneme-Namespace": self._space()} if self._rng.random() < 0.6 else {}
        return Asked("POST", "/v1/chat/completions", body, headers)

    def _add(self) -> Asked:
        rng = self._rng
        body = {"content": f"I went to the {rng.choice(_WORDS)} again.", "session": "mine"}
        headers = {"Idempotency-Key": rng.choice(["a", "b"])} if rng.random() < 0.3 else {}
        return Asked("POST", f"/v1/namespaces/{self._space()}/memories", body, headers)

    def _page(self) -> Asked:
        """A page of the console."""
        space, named = self._space(), self._id()
        path = self._rng.choice(
            ["/", f"/n/{space}/search?q=says&why={named}", f"/n/{space}/timeline",
             f"/n/{space}/memories/{named}", f"/n/{space}/memories/{named}/edit",
             f"/n/{space}/erase?id={named}", f"/n/{space}/forgotten?id={named}",
             f"/n/{space}/playground?q=says", f"/n/{space}/add", "/jobs", "/store", "/charts",
             "/audit", "/keys"]
        )  # fmt: skip
        return Asked(
            "GET", path, headers={"Accept": "text/html"}, named=named if named in path else None
        )


def missing_id(rng: Random) -> str:
    """An id that no cube has."""
    raw = f"{rng.getrandbits(128):032x}"
    return f"{raw[:8]}-{raw[8:12]}-7{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"
