"""Keys as OpenAPI describes them: what makes one, and what is shown of one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from mneme.server.shapes.bodies import Body
from mneme.server.shapes.fields import Moment, Name
from mneme.server.shapes.records import At

_SEGMENT: Final = "[A-Za-z0-9_.@:-]+"
_ID: Final = "5f0c1a9be2d4"
_GRANT: Final[dict[str, Any]] = {"namespaces": ["alice", "team/*"], "verbs": ["read", "add"]}
_KEY: Final[dict[str, Any]] = {
    "id": _ID,
    "name": "alice",
    "grants": [_GRANT],
    "made_at": "2026-06-01T09:00:00Z",
    "expires_at": None,
    "rotated_at": None,
    "old_until": None,
    "requests_per_s": None,
}

KeyId = Annotated[
    str, Field(pattern="^[0-9a-f]{12}$", description="The id of a key.", examples=[_ID])
]
Namespaces = Annotated[
    list[Annotated[str, Field(pattern=rf"^(\*|{_SEGMENT}(/{_SEGMENT})*(/\*)?)$", max_length=512)]],
    Field(
        min_length=1,
        max_length=100,
        description="Paths with `/`; `acme/*` is all below `acme`, `*` is every namespace.",
    ),
]
Verb = Literal["read", "add", "update", "forget", "erase", "export", "import", "chat", "admin", "*"]
Verbs = Annotated[
    list[Verb], Field(min_length=1, max_length=20, description="`*` is all but `admin`.")
]
PerSecond = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class KeyBody(Body):
    """A key that is to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "alice", **_GRANT}]})
    call: ClassVar[str] = "a key"
    name: Annotated[Name, Field(description="Who will hold it; audit entries say it.")]
    namespaces: Namespaces
    verbs: Annotated[Verbs, Field(default_factory=lambda: ["*"])]
    expires_at: Annotated[Moment | None, Field(description="Refused from then on.")] = None
    requests_per_s: PerSecond | None = None


class RotateBody(Body):
    """How a key gets a new secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_s": 3600}]})
    call: ClassVar[str] = "a rotation"
    overlap_s: Annotated[
        float,
        Field(
            ge=0,
            le=2_592_000,
            allow_inf_nan=False,
            description="Seconds for which the old secret works too.",
        ),
    ] = 0.0


class Grant(BaseModel):
    """Verbs on namespaces."""

    namespaces: list[str]
    verbs: list[str]


class Key(BaseModel):
    """What is known of a key; its secret is not."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})
    id: str
    name: str
    grants: list[Grant]
    made_at: At
    expires_at: At | None
    rotated_at: At | None
    old_until: Annotated[At | None, Field(description="Until then the old secret works too.")]
    requests_per_s: float | None


class KeyList(BaseModel):
    """Keys, the oldest first."""

    keys: list[Key]


class NewKey(Key):
    """A key with its text, which is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": f"mneme_{_ID}_{'x' * 43}", **_KEY}]}
    )
    key: str


class Limits(BaseModel):
    """What the server takes."""

    body_bytes: int
    timeout_s: float
    requests_per_s: Annotated[float, Field(description="Of this key; 0: no limit.")]


class Me(BaseModel):
    """Whose key it is, what it grants, and what the server takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "name": "alice",
                    "grants": [_GRANT],
                    "expires_at": None,
                    "version": "0.1.0",
                    "limits": {"body_bytes": 75497472, "timeout_s": 60.0, "requests_per_s": 500.0},
                }
            ]
        }
    )
    id: str
    name: str
    grants: list[Grant]
    expires_at: At | None
    version: str
    limits: Limits
