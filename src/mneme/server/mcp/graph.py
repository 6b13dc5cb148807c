"""A graph of entities and relations, kept as cubes (the reference memory server has a file).

An entity is a `note` ("Ana (person)"), each of its observations a `fact` ("Ana: plays the cello"),
each relation a `fact` ("Ana works at Northwind"); metadata says which is which, so that search and
recall find them like other memories. What is deleted is forgotten: its owner can restore it.

The rules are those of @modelcontextprotocol/server-memory 2026.8.31, its corner cases included: a
name that comes twice in one call makes two entities, observations go to the first of a name, and
relations may name what does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from mneme.core.errors import InvalidInputError
from mneme.server.mcp.one_by_one import OneByOne

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mneme.app.namespace import Namespace
    from mneme.core.cube import MemCube

    Relation = tuple[str, str, str]

SESSION: Final = "knowledge-graph"
_KIND: Final = "graph"  # the key of metadata that says what a cube is in the graph
_PAGE = 1000
WRITING: Final = OneByOne()  # a change reads first: two shall not pass one another


@dataclass(slots=True)
class Entity:
    """An entity with its observations, and the cubes that they are."""

    cube_id: str
    name: str
    entity_type: str
    observations: list[str] = field(default_factory=list)
    observation_ids: list[str] = field(default_factory=list)

    def wire(self) -> dict[str, Any]:
        """As the reference server writes it."""
        return {
            "name": self.name,
            "entityType": self.entity_type,
            "observations": list(self.observations),
        }


@dataclass(slots=True)
class Graph:
    """All of it, in order of writing. Relations are (from, to, type), each with its cube."""

    entities: dict[str, Entity] = field(default_factory=dict)
    relations: list[tuple[str, Relation]] = field(default_factory=list)

    def first(self, name: str) -> tuple[str, Entity] | None:
        """The oldest entity of a name, with its node."""
        return next(((n, e) for n, e in self.entities.items() if e.name == name), None)

    def part(self, wanted: Callable[[Entity], bool]) -> dict[str, Any]:
        """Some entities, and the relations that touch one of them."""
        found = [entity for entity in self.entities.values() if wanted(entity)]
        names = {entity.name for entity in found}
        touching = [r for _, r in self.relations if r[0] in names or r[1] in names]
        return {
            "entities": [entity.wire() for entity in found],
            "relations": [relation_wire(relation) for relation in touching],
        }

    def whole(self) -> dict[str, Any]:
        """Every entity and every relation."""
        return {
            "entities": [entity.wire() for entity in self.entities.values()],
            "relations": [relation_wire(relation) for _, relation in self.relations],
        }


class UnknownEntityError(InvalidInputError):
    """An observation for an entity that is not there; nothing was added."""


def relation_wire(relation: Relation) -> dict[str, str]:
    """A relation as the reference server writes it."""
    return {"from": relation[0], "to": relation[1], "relationType": relation[2]}


def load(space: Namespace) -> Graph:
    """The graph of a namespace."""
    graph, later = Graph(), []
    for cube in _cubes(space):
        meta = cube.metadata
        kind = meta[_KIND]
        if kind == "entity":
            graph.entities[meta["node"]] = Entity(cube.id, meta["name"], meta["entityType"])
        elif kind == "relation":
            relation = (meta["from"], meta["to"], meta["relationType"])
            graph.relations.append((cube.id, relation))
        elif kind == "observation":
            later.append(cube)
    for cube in later:
        entity = graph.entities.get(cube.metadata["node"])
        if entity is not None:  # else somebody forgot the entity alone
            entity.observations.append(cube.text.removeprefix(f"{entity.name}: "))
            entity.observation_ids.append(cube.id)
    return graph


def _cubes(space: Namespace) -> Iterator[MemCube]:
    """Archived and merged ones too: consolidation takes nothing out of the graph."""
    cursor: str | None = None
    while True:
        page = space.list(
            filters={f"metadata.{_KIND}": {"exists": True}},
            limit=_PAGE,
            cursor=cursor,
            include_archived=True,
        )
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def create_entities(
    space: Namespace, entities: Sequence[tuple[str, str, Sequence[str]]]
) -> list[dict[str, Any]]:
    """Add entities (name, type, observations) whose name is not there; those that were added."""
    with WRITING:
        known = {entity.name for entity in load(space).entities.values()}
        new = [entity for entity in entities if entity[0] not in known]
        items: list[dict[str, Any]] = []
        for name, entity_type, observations in new:
            node = uuid4().hex
            meta = {"node": node, "name": name, "entityType": entity_type}
            items.append(_item(f"{name} ({entity_type})", "note", "entity", meta))
            items += [_observation(name, node, said) for said in observations]
        _keep(space, items)
    return [{"name": n, "entityType": t, "observations": list(said)} for n, t, said in new]


def create_relations(space: Namespace, relations: Sequence[Relation]) -> list[dict[str, str]]:
    """Add relations that are not there; those that were added."""
    with WRITING:
        known = {relation for _, relation in load(space).relations}
        new = [relation for relation in relations if relation not in known]
        _keep(space, [_relation(relation) for relation in new])
    return [relation_wire(relation) for relation in new]


def add_observations(
    space: Namespace, wanted: Sequence[tuple[str, Sequence[str]]]
) -> list[dict[str, Any]]:
    """Add what is not yet said of entities; what was added, for each.

    Raises:
        UnknownEntityError: One of them is not there; nothing was added.
    """
    results: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    with WRITING:
        graph = load(space)
        for name, contents in wanted:
            found = graph.first(name)
            if found is None:
                raise UnknownEntityError(f"Entity with name {name} not found")
            node, entity = found
            new = [content for content in contents if content not in entity.observations]
            entity.observations += new
            items += [_observation(name, node, content) for content in new]
            results.append({"entityName": name, "addedObservations": new})
        _keep(space, items)
    return results


def delete_entities(space: Namespace, names: Sequence[str]) -> None:
    """Forget entities of these names, what is said of them, and the relations that touch them."""
    gone = set(names)
    with WRITING:
        graph = load(space)
        ids = [
            cube_id
            for entity in graph.entities.values()
            if entity.name in gone
            for cube_id in (entity.cube_id, *entity.observation_ids)
        ]
        ids += [i for i, relation in graph.relations if relation[0] in gone or relation[1] in gone]
        _forget(space, ids)


def delete_observations(space: Namespace, deletions: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Forget what is said of entities, word by word the same."""
    with WRITING:
        graph = load(space)
        ids: list[str] = []
        for name, contents in deletions:
            found = graph.first(name)
            if found is not None:
                entity = found[1]
                pairs = zip(entity.observations, entity.observation_ids, strict=True)
                ids += [cube_id for said, cube_id in pairs if said in contents]
        _forget(space, ids)


def delete_relations(space: Namespace, relations: Iterable[Relation]) -> None:
    """Forget relations that are the same in all three parts."""
    gone = set(relations)
    with WRITING:
        _forget(space, [i for i, relation in load(space).relations if relation in gone])


def search_nodes(space: Namespace, query: str) -> dict[str, Any]:
    """Entities that hold the query, whatever its case, in name, type or an observation."""
    wanted = query.lower()

    def holds(entity: Entity) -> bool:
        texts = (entity.name, entity.entity_type, *entity.observations)
        return any(wanted in text.lower() for text in texts)

    return load(space).part(holds)


def open_nodes(space: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Entities of these names."""
    wanted = set(names)
    return load(space).part(lambda entity: entity.name in wanted)


def _observation(name: str, node: str, said: str) -> dict[str, Any]:
    return _item(f"{name}: {said}", "fact", "observation", {"node": node})


def _relation(relation: Relation) -> dict[str, Any]:
    start, end, kind = relation
    said = f"{start} {kind.replace('_', ' ')} {end}"
    text = said if said.strip() else "a relation without words"
    return _item(text, "fact", "relation", relation_wire(relation))


def _item(text: str, type_: str, kind: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {
        "content": text,
        "type": type_,
        "session": SESSION,
        "metadata": {_KIND: kind, **metadata},
        "infer": "none",
    }


def _keep(space: Namespace, items: list[dict[str, Any]]) -> None:
    """Add all, or none."""
    report = space.add_many(items)
    if report.refused:
        _forget(space, [i for item in report.items for i in item.ids])
        raise InvalidInputError(f"nothing was added: {report.refused[0].error}")


def _forget(space: Namespace, ids: Sequence[str]) -> None:
    if ids:
        space.forget(list(dict.fromkeys(ids)))
