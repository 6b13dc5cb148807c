"""`Memory` with mem0's calls; see the package."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from mneme.compat.mem0.arguments import (
    check_count,
    check_flag,
    check_kind,
    check_threshold,
    query_of,
    refuse_more,
    said_of,
    wanted_of,
)
from mneme.compat.mem0.config import ROOT, Place, opened
from mneme.compat.mem0.items import fields_of, is_over, item_of, rows_of
from mneme.compat.mem0.scope import (
    EXPIRES,
    MemoryNotFoundError,
    entities_of,
    expiration_of,
    moment_of,
    own_metadata,
    owner_of,
)
from mneme.core.clock import Clock, SystemClock, from_us
from mneme.core.errors import CubeNotFoundError, InvalidInputError, VersionConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace
    from mneme.client import Client, RemoteNamespace
    from mneme.compat.mem0.filters import Test
    from mneme.core.cube import MemCube
    from mneme.recall.context import Hit

    Space = Namespace | RemoteNamespace

_UNSET: Any = object()
_EVERYTHING = {"recorded_at": {"gte": "1970-01-01"}}
_PAGE = 500
_MOST = 1000  # hits of one search
_KNOWN = 10_000  # ids whose namespace is kept in mind
_ATTEMPTS = 5
_LEAST = 0.1  # mem0's threshold where None is given
# A score here is the share of such hits that were right, which is small; a score of mem0 is about a
# cosine. The fourth root keeps the order; mem0's default threshold, 0.1, stands for 1 in 10,000.
_ROOT = 4
_WHY = "deleted through mneme.compat.mem0"


class Memory:
    """Memories of users, agents and runs, with the calls of `mem0.Memory`. A context manager.

    Args:
        config: As `from_config` takes it; None: the user's store, no model.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._set_up(opened(config), SystemClock(), owned=True)

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any]) -> Self:
        """Open what mem0's configuration says, as far as Mneme can do it.

        `vector_store` may name the folder or the server: {"provider": "mneme", "config": {"path":
        FOLDER}} or {"url": ..., "key": ...}. `llm` may be openai, anthropic or ollama; `embedder`
        openai, ollama, huggingface or fastembed.

        Raises:
            InvalidInputError: It asks for what Mneme does not have.
        """
        return cls(config_dict)

    @classmethod
    def over(
        cls, store: MemoryOS | Client, *, root: str = ROOT, clock: Clock | None = None
    ) -> Self:
        """The same over a memory, or a client, that is open already and stays open.

        Args:
            store: What keeps the memories.
            root: The namespace below which they are kept.
            clock: Says which expiration dates lie behind; None: the machine's.
        """
        made = cls.__new__(cls)
        made._set_up(Place(store, root), clock or SystemClock(), owned=False)
        return made

    def _set_up(self, place: Place, clock: Clock, *, owned: bool) -> None:
        self._store, self._root, self._owned = place.store, place.root, owned
        self._clock = clock
        self._where: OrderedDict[str, str] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if this opened it."""
        if self._owned:
            self._store.close()

    # -- writing

    def add(  # noqa: PLR0913 (mem0's)
        self,
        messages: object,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: object = None,
        expiration_date: object = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
    ) -> dict[str, Any]:
        """Keep what was said: each message is a memory, word for word.

        Args:
            messages: A text, a message, or a list of messages; system messages are left out.
            user_id: Whose memory it is.
            agent_id: Which agent's.
            run_id: Of which run; one of the three ids is needed.
            metadata: Of each memory.
            timestamp: When it was said: seconds since 1970, or an ISO 8601 string.
            expiration_date: The last day on which it is found, such as "2027-01-31".
            infer: Whether facts are read out of it, by rules and by a model if there is one.
            memory_type: None; summaries of procedures are refused.
            prompt: None; Mneme does not take one.

        Returns:
            {"results": [{"id", "memory", "event": "ADD"}, ...]}.
        """
        check_kind(memory_type, agent_id, prompt)
        entities = entities_of(user_id=user_id, agent_id=agent_id, run_id=run_id)
        kept = own_metadata(metadata, {}, call="add()") | entities
        last = expiration_of(expiration_date)
        kept |= {EXPIRES: last} if last is not None else {}
        said = said_of(messages)
        if not said:
            return {"results": []}
        space = self._store.namespace(owner_of(self._root, entities))
        cubes = space.add(
            said,
            session=entities.get("run_id"),
            at=moment_of(timestamp, "timestamp"),
            metadata=kept,
            infer="auto" if infer else "none",
        )
        self._note(cubes, space.path)
        return {"results": [_added(cube, infer=infer) for cube in cubes]}

    def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: dict[str, Any] | None = None,
        expiration_date: Any = _UNSET,  # noqa: ANN401 (as mem0's)
        data: str | None = None,
    ) -> dict[str, str]:
        """Change a text, or add to the metadata; the former version stays in the history.

        Raises:
            MemoryNotFoundError: No memory has this id.
        """
        text = data if text is None else text
        if text is None and metadata is None and expiration_date is _UNSET:
            raise InvalidInputError(
                "At least one of text, metadata, or expiration_date must be provided."
            )
        last = {} if expiration_date is _UNSET else {EXPIRES: expiration_of(expiration_date)}
        space, cube = self._found(memory_id)
        for attempt in range(1, _ATTEMPTS + 1):
            changed = own_metadata(metadata, cube.metadata, call="update()") | last
            try:
                space.update(
                    cube.id,
                    text=text,
                    metadata={**cube.metadata, **changed},
                    expected_version=cube.version,
                )
                break
            except VersionConflictError:
                if attempt == _ATTEMPTS:
                    raise
                cube = space.get(cube.id)
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Erase a memory and all that was read out of it.

        Raises:
            MemoryNotFoundError: No memory has this id.
        """
        space, cube = self._found(memory_id)
        space.erase(cube.id, reason=_WHY)
        self._where.pop(cube.id, None)
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self, user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None
    ) -> dict[str, str]:
        """Erase all memories of these ids."""
        if user_id is None and agent_id is None and run_id is None:
            raise InvalidInputError(
                "At least one filter is required to delete all memories; reset() deletes "
                "everybody's."
            )
        entities = entities_of(user_id=user_id, agent_id=agent_id, run_id=run_id)
        conditions = {f"metadata.{name}": value for name, value in entities.items()}
        for space in self._spaces(entities):
            space.erase(filters=conditions, reason=_WHY)
        return {"message": "Memories deleted successfully!"}

    def reset(self) -> None:
        """Erase everybody's memories, as far as they were kept through this class."""
        for path in self._store.namespaces(f"{self._root}/"):
            space = self._store.namespace(path)
            space.erase(filters=_EVERYTHING, reason=_WHY)
        self._where.clear()

    # -- reading

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """A memory; None if there is none of that id."""
        try:
            space, cube = self._found(memory_id)
        except MemoryNotFoundError:
            return None
        return _with_score(self._item(space, cube), None)

    def get_all(
        self,
        /,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 20,
        show_expired: bool = False,
        **kwargs: Any,  # noqa: ANN401 (as mem0's)
    ) -> dict[str, Any]:
        """Memories of the ids in `filters`, in order of writing."""
        refuse_more("get_all", kwargs, ("filters", "top_k", "show_expired"))
        check_count(top_k)
        wanted, entities = wanted_of(filters)
        listed = self._listed(entities, self._passes(wanted, show_expired=show_expired))
        return {"results": [self._item(*pair) for pair in islice(listed, top_k)]}

    def search(  # noqa: PLR0913 (mem0's)
        self,
        /,
        query: str,
        *,
        top_k: int = 20,
        filters: dict[str, Any] | None = None,
        threshold: float | None = 0.1,
        rerank: bool = False,
        explain: bool = False,
        reference_date: object = None,
        show_expired: bool = False,
        **kwargs: Any,  # noqa: ANN401 (as mem0's)
    ) -> dict[str, Any]:
        """The memories that answer a question best, best first.

        Args:
            query: The question.
            top_k: Most memories; 1000 at most.
            filters: Whose (one of user_id, agent_id and run_id is needed), and which.
            threshold: The least score, 0 to 1; scores are the fourth root of those of Mneme.
            rerank: Changes nothing: the ranking is complete already.
            explain: Whether to show the signals of the score as "score_details".
            reference_date: The "now" of the question.
            show_expired: Whether memories whose last day lies behind are found, too.
            **kwargs: None; mem0 names the ids here that belong into `filters`.
        """
        refuse_more("search", kwargs, ("top_k", "filters", "threshold", "explain"))
        check_count(top_k, most=_MOST)
        check_threshold(threshold)
        check_flag(rerank, "rerank")
        wanted, entities = wanted_of(filters)
        question = query_of(query)
        asked = {
            "now": moment_of(reference_date, "reference_date"),
            "min_score": (_LEAST if threshold is None else threshold) ** _ROOT,
            "explain": explain,
        }
        hits: list[tuple[Space, Hit]] = []
        passes = self._passes(wanted, show_expired=show_expired)
        for space in self._spaces(entities) if top_k else ():
            hits += [(space, hit) for hit in _search(space, question, top_k, asked, passes)]
        hits.sort(key=lambda pair: -pair[1].score)
        return {"results": [self._scored(*pair, explain=explain) for pair in hits[:top_k]]}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """A row for each change of a memory, oldest first; none if there is no such memory."""
        try:
            space, cube = self._found(memory_id)
        except MemoryNotFoundError:
            return []
        return rows_of(space.history(cube.id))

    # -- within

    def _spaces(self, entities: Mapping[str, str]) -> Iterator[Space]:
        """The namespaces that may hold memories of some ids."""
        if entities.get("user_id", "*") != "*":
            yield self._store.namespace(owner_of(self._root, entities))
            return
        for path in self._store.namespaces(f"{self._root}/"):
            yield self._store.namespace(path)

    def _listed(
        self, entities: Mapping[str, str], passes: Callable[[MemCube], bool]
    ) -> Iterator[tuple[Space, MemCube]]:
        for space in self._spaces(entities):
            cursor = None
            while True:
                page = space.list(limit=_PAGE, cursor=cursor)
                yield from ((space, cube) for cube in page.items if passes(cube))
                cursor = page.next_cursor
                if cursor is None:
                    break

    def _passes(self, wanted: Test, *, show_expired: bool) -> Callable[[MemCube], bool]:
        now = from_us(self._clock.now_us())
        return lambda cube: wanted(fields_of(cube)) and (show_expired or not is_over(cube, now))

    def _found(self, memory_id: object) -> tuple[Space, MemCube]:
        """A memory by its id alone, and where it is kept."""
        wanted = str(memory_id)
        known = self._where.get(wanted)
        paths = [known] if known is not None else []
        for path in paths or self._store.namespaces(f"{self._root}/"):
            space = self._store.namespace(path)
            try:
                cube = space.get(wanted)
            except (CubeNotFoundError, InvalidInputError):
                continue
            self._note([cube], path)
            return space, cube
        raise MemoryNotFoundError(wanted)

    def _note(self, cubes: Iterable[MemCube], path: str) -> None:
        """Keep in mind where memories are, so that an id alone finds them at once."""
        for cube in cubes:
            self._where[cube.id] = path
        while len(self._where) > _KNOWN:
            self._where.popitem(last=False)

    def _item(self, space: Space, cube: MemCube) -> dict[str, Any]:
        self._note([cube], space.path)
        first = cube if cube.version == 1 else space.get(cube.id, version=1)
        return item_of(cube, first.recorded_at)

    def _scored(self, space: Space, hit: Hit, *, explain: bool) -> dict[str, Any]:
        item = _with_score(self._item(space, hit.cube), hit.score ** (1 / _ROOT))
        return item | ({"score_details": dict(hit.scores or {})} if explain else {})


def _search(
    space: Space,
    query: str,
    top_k: int,
    asked: Mapping[str, Any],
    passes: Callable[[MemCube], bool],
) -> list[Hit]:
    """Hits that pass; more are looked through where too few of the first do."""
    limit = min(max(4 * top_k, 60), _MOST)
    while True:
        hits = space.search(query, limit=limit, **asked)
        found = [hit for hit in hits if passes(hit.cube)]
        if len(found) >= top_k or len(hits) < limit or limit == _MOST:
            return found[:top_k]
        limit = _MOST


def _added(cube: MemCube, *, infer: bool) -> dict[str, Any]:
    added = {"id": cube.id, "memory": cube.text, "event": "ADD"}
    return added if infer else added | {"actor_id": cube.speaker, "role": cube.role}


def _with_score(item: dict[str, Any], score: float | None) -> dict[str, Any]:
    """The item as mem0 orders it: the score before the times."""
    at = list(item).index("created_at")
    names = list(item.items())
    return dict([*names[:at], ("score", score), *names[at:]])
