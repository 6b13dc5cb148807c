"""What forms and links of the pages send: plain records, checked by the verbs that they go to."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class SearchQuery(BaseModel):
    """A search; `why` is the id of the hit whose signals are all to be shown."""

    q: str = ""
    mode: str = "hybrid"
    limit: int = Field(10, ge=1, le=50)
    type: str = ""
    session: str = ""
    since: str = ""
    until: str = ""
    now: str = ""
    archived: bool = False
    why: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether anything but the question was said."""
        said = (self.type, self.session, self.since, self.until, self.now, self.archived)
        return any(said) or self.mode != "hybrid" or self.limit != 10

    def arguments(self) -> dict[str, Any]:
        """Those of `search`."""
        return {
            "limit": self.limit,
            "mode": self.mode,
            "types": [self.type] if self.type else None,
            "session": self.session or None,
            "since": self.since or None,
            "until": self.until or None,
            "now": self.now or None,
            "include_archived": self.archived,
        }


class TimelineQuery(BaseModel):
    """Which memories to list."""

    session: str = ""
    type: str = ""
    kind: str = "plaintext"
    role: str = ""
    speaker: str = ""
    since: str = ""
    until: str = ""
    archived: bool = False
    cursor: str = ""
    limit: int = Field(40, ge=1, le=200)

    def arguments(self) -> dict[str, Any]:
        """Those of `list`."""
        named = (("role", self.role), ("speaker", self.speaker))
        filters: dict[str, Any] = {name: value for name, value in named if value}
        window = {op: at for op, at in (("gte", self.since), ("lt", self.until)) if at}
        if window:
            filters["event_at"] = window
        return {
            "types": [self.type] if self.type else None,
            "kinds": [self.kind] if self.kind else None,
            "session": self.session or None,
            "filters": filters or None,
            "limit": self.limit,
            "cursor": self.cursor or None,
            "include_archived": self.archived,
        }

    def kept(self) -> dict[str, str]:
        """What links to other pages of the same list say."""
        given = self.model_dump(exclude={"cursor", "limit", "archived"})
        said = {name: value for name, value in given.items() if value}
        return said | ({"archived": "true"} if self.archived else {})


class AuditQuery(BaseModel):
    """Which entries of the audit log to list: those numbered below `before`, if it is above 0."""

    actor: str = ""
    verb: str = ""
    namespace: str = ""
    cube_id: str = ""
    since: str = ""
    before: int = Field(0, ge=0)

    def kept(self) -> dict[str, str]:
        """What links to other pages of the same list say."""
        return {name: v for name, v in self.model_dump(exclude={"before"}).items() if v}


class AddForm(BaseModel):
    """A memory that was typed."""

    text: str = ""
    role: str = "user"
    speaker: str = ""
    session: str = ""
    at: str = ""
    type: str = "turn"

    def arguments(self) -> dict[str, Any]:
        """Those of `add`, but the text."""
        return {
            "role": self.role,
            "speaker": self.speaker or None,
            "session": self.session or None,
            "at": self.at or None,
            "type": None if self.type == "turn" else self.type,
        }


class EditForm(BaseModel):
    """A memory as it was edited, and the version that the person saw."""

    version: int
    text: str = ""
    type: str = ""
    labels: str = ""
    metadata: str = ""
    hold: bool = False


class KeyForm(BaseModel):
    """A key to be made."""

    name: str = ""
    namespaces: str = ""
    verbs: list[str] = Field(default_factory=list)
    expires_at: str = ""
    requests_per_s: str = ""


class AskQuery(BaseModel):
    """A question for the playground, and the tokens that its context may have."""

    q: str = ""
    budget: int = Field(1500, ge=100, le=6000)
    now: str = ""


class AskForm(AskQuery):
    """A question for the model of the server."""

    remember: bool = False
