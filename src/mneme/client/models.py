"""The verbs that the server's own model does: promote, demote, chat."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mneme.app.activation.reply import Reply
from mneme.client.records import record, records
from mneme.client.verbs import verb
from mneme.client.wire import Flow, given, id_in_path, listed, post
from mneme.core.cube import MemCube
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.memories.parametric.training import Training

    Cubes = list[MemCube]  # `list` is a verb within the class
    Target = str | Sequence[str] | None


class RemoteVerbs:
    """What all verbs of a namespace need: where it is on the server."""

    path: str

    def _at(self, *parts: str) -> str:
        return "/".join(("/v1/namespaces", self.path.replace("/", "~"), *parts))

    def _of(self, cube_id: object, *parts: str) -> str:
        return self._at("memories", id_in_path(cube_id, self.path), *parts)


class ModelVerbs(RemoteVerbs):
    """The library's, without `engine`: a server has one model, or refuses (503)."""

    @verb
    def promote(
        self,
        target: Target = None,
        *,
        filters: Mapping[str, Any] | None = None,
        to: str,
        wait: bool = True,
        codec: str | None = None,
        policy: str | None = None,
        keep: float = 1.0,
        sentences: bool = False,
        episodes: bool = False,
        training: Training | None = None,
    ) -> Flow[Cubes]:
        """Make carriers of cubes: what the model would compute of them, or weights."""
        body = targeted(target, filters) | given(
            to=to,
            wait=wait,
            codec=codec,
            policy=policy,
            keep=keep,
            sentences=sentences,
            episodes=episodes,
            training=None if training is None else asdict(training),
        )
        answer = yield post(self._at("promote"), body)
        return records(MemCube, answer.json()["cubes"])

    @verb
    def demote(self, id: str) -> Flow[None]:  # noqa: A002 (the contract's name)
        """Drop the carriers of a cube, or one carrier; the text stays."""
        yield post(self._of(id, "demote"), {})

    @verb
    def chat(
        self,
        messages: object,
        *,
        session: str | None = None,
        budget_tokens: int = 1500,
        max_new_tokens: int = 256,
        remember: bool = True,
        policy: str | None = None,
        keep: float = 1.0,
    ) -> Flow[Reply]:
        """Answer a question from memory: what was promoted, and what is recalled for it."""
        body = given(
            messages=messages,
            session=session,
            budget_tokens=budget_tokens,
            max_new_tokens=max_new_tokens,
            remember=remember,
            policy=policy,
            keep=keep,
        )
        return record(Reply, (yield post(self._at("chat"), body)).json())


def targeted(target: Target, filters: Mapping[str, Any] | None) -> dict[str, object]:
    """Either ids or filters, as the body of a request."""
    if (target is None) == (filters is None):
        raise InvalidInputError("give either a target or filters")
    return given(target=listed(target), filters=filters)
