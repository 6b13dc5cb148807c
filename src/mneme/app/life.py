"""The verbs on the life of memories: archived, frozen, forgotten, erased, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError
from mneme.core.strict import strict
from mneme.ingest import checks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube
    from mneme.core.rows import Condition, VersionRow
    from mneme.vault.erase import ErasureReceipt
    from mneme.vault.vault import Vault

    Target = str | Sequence[str] | None


class LifeVerbs:
    """What happens to memories that are there."""

    path: str
    _shared: Shared
    _vault: Vault

    if TYPE_CHECKING:

        def _cube(self, changed: tuple[VersionRow, str]) -> MemCube: ...
        def _conditions(self, filters: object) -> tuple[Condition, ...]: ...

    @strict
    def archive(self, id: str) -> MemCube:  # noqa: A002
        """Take out of default search."""
        return self._transit(id, "archive")

    @strict
    def activate(self, id: str) -> MemCube:  # noqa: A002
        """Bring back into default search."""
        return self._transit(id, "activate")

    @strict
    def freeze(self, id: str) -> MemCube:  # noqa: A002
        """Refuse updates until `unfreeze`."""
        return self._transit(id, "freeze")

    @strict
    def unfreeze(self, id: str) -> MemCube:  # noqa: A002
        """Allow updates again."""
        return self._transit(id, "unfreeze")

    @strict
    def forget(self, target: Target = None, *, filters: Mapping[str, Any] | None = None) -> int:
        """Hide from every read; the number hidden, what derives from the target included."""
        ids, conditions = self._target(target, filters)
        return self._vault.lives.forget(self.path, ids, conditions)

    @strict
    def restore(self, id: str) -> MemCube:  # noqa: A002
        """Undo `forget`."""
        return self._cube(self._vault.lives.restore(self.path, checks.id_of(id)))

    @strict
    def erase(
        self,
        target: Target = None,
        *,
        filters: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> ErasureReceipt:
        """Remove for good, with all that derives from it; it cannot be undone."""
        ids, conditions = self._target(target, filters)
        why = checks.name_of(reason, name="reason")
        receipt = self._vault.eraser.erase(self.path, ids, conditions, why)
        if self._shared.model is not None:
            self._shared.model.forget_answers()
        if receipt.pending:
            self._shared.wake()
        return receipt

    @strict
    def preview_erase(
        self, target: Target = None, *, filters: Mapping[str, Any] | None = None
    ) -> list[MemCube]:
        """What `erase` would take, targets first, then all that derives from them; nothing changes.

        Forgotten and expired cubes are among them, and carriers in keys, values and weights.

        Raises:
            CubeNotFoundError: One of the ids is not there.
            ForbiddenError: One of the cubes is held.
        """
        ids, conditions = self._target(target, filters)
        return self._vault.eraser.preview(self.path, ids, conditions)

    def _transit(self, cube_id: str, verb: str) -> MemCube:
        return self._cube(self._vault.lives.transit(self.path, checks.id_of(cube_id), verb))

    def _target(
        self, target: Target, filters: object
    ) -> tuple[Sequence[str] | None, tuple[Condition, ...]]:
        if (target is None) == (filters is None):
            raise InvalidInputError("give either a target or filters")
        if target is None:
            conditions = self._conditions(filters)
            if not conditions:
                raise InvalidInputError("filters are empty: name at least one field")
            return None, conditions
        return checks.ids_of(target), ()
