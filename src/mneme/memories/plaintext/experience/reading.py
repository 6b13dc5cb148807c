"""A run as a caller hands it in, checked step by step.

In: a list of steps, a list of messages as OpenAI's chat API has them, or a mapping with `steps` or
`messages` and perhaps `task`; all untrusted. Out: a `Trajectory`, or an error that names the step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError
from mneme.memories.plaintext.experience.steps import Step, Trajectory, action_of, call_of

if TYPE_CHECKING:
    from mneme.memories.plaintext.experience.steps import Action

MOST_STEPS: Final = 500
_FIELDS: Final = frozenset({"action", "observation", "thought", "error"})
_WHOLE: Final = frozenset({"task", "steps", "messages"})
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
_FAILED: Final = re.compile(
    r"\s*[\"'{\[(]*\s*(?:error\b|exception\b|traceback \(most recent|failed\b|failure\b"
    r"|fatal\b|permission denied|command not found|(?:http )?[45]\d\d\b)"
    r"|.{0,80}\b(?:Error|Exception)\b:",
    re.IGNORECASE | re.DOTALL,
)


def trajectory_of(value: object, task: str | None) -> Trajectory:
    """A checked run.

    Args:
        value: What the caller handed in.
        task: What was to be done; without it, what the run itself says, or its first user message.

    Raises:
        InvalidInputError: It is no run; the message says which step is not one.
    """
    if isinstance(value, Mapping):
        if unknown := sorted(set(map(str, value)) - _WHOLE):
            raise InvalidInputError(
                f"a trajectory has no field {unknown[0]!r:.80}; known: {', '.join(sorted(_WHOLE))}"
            )
        if ("steps" in value) == ("messages" in value):
            raise InvalidInputError("a trajectory holds either 'steps' or 'messages'")
        task = task if task is not None else _text(value.get("task"), "the trajectory's task")
        value = value.get("steps", value.get("messages"))
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidInputError(
            "a trajectory is a list of steps, a list of messages, or a mapping that holds one; "
            f"not {type(value).__name__}"
        )
    if any(isinstance(each, Mapping) and "role" in each for each in value):
        task, steps = _from_messages(value, task)
    else:
        steps = [_step(each, number) for number, each in enumerate(value, start=1)]
    if not steps:
        raise InvalidInputError("the trajectory has no step; there is nothing to learn from")
    if len(steps) > MOST_STEPS:
        raise InvalidInputError(f"the trajectory has {len(steps)} steps, the most is {MOST_STEPS}")
    if task is None or not task.strip():
        raise InvalidInputError("say what the run was for: task='...'")
    return Trajectory(task=" ".join(task.split()), steps=tuple(steps))


def _step(value: object, number: int) -> Step:
    where = f"step {number}"
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{where} is a {type(value).__name__}, not a mapping")
    if unknown := sorted(set(map(str, value)) - _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise InvalidInputError(f"{where} has no field {unknown[0]!r:.80}; known: {known}")
    if "action" not in value:
        raise InvalidInputError(f"{where} has no 'action'")
    action, said = _action(value["action"], where)
    error = value.get("error", False)
    if not isinstance(error, bool | str) and error is not None:
        raise InvalidInputError(f"{where}: 'error' is true, false or a text")
    seen = _observation(value.get("observation"), where)
    if isinstance(error, str) and error.strip():
        seen = error if seen is None else f"{seen}\n{error}"
    return _make(action, said, _text(value.get("thought"), f"{where}: 'thought'"), seen, error)


def _make(
    action: Action, said: str, thought: str | None, seen: str | None, error: object = False
) -> Step:
    failed = bool(error) or (seen is not None and _FAILED.match(seen) is not None)
    return Step(action=action, said=said, thought=thought, observation=seen, failed=failed)


def _action(value: object, where: str) -> tuple[Action, str]:
    if isinstance(value, str):
        said = _text(value, f"{where}: 'action'")
        if said is None:
            raise InvalidInputError(f"{where}: 'action' is empty")
        return action_of(said), said
    if isinstance(value, Mapping):
        name = value.get("name", value.get("tool"))
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(f"{where}: an action needs a 'name'")
        action = _call(name, value.get("arguments", value.get("args", {})), where)
        return action, str(action)
    raise InvalidInputError(f"{where}: 'action' is a {type(value).__name__}, not text or a mapping")


def _call(name: str, arguments: object, where: str) -> Action:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                f"{where}: the arguments of {name!r:.80} are no JSON"
            ) from error
    if not isinstance(arguments, Mapping):
        raise InvalidInputError(f"{where}: the arguments of {name!r:.80} are no mapping")
    checked = _text(name, f"{where}: the name") or name
    pairs = [(str(label), _plain(each, where)) for label, each in arguments.items()]
    return call_of(checked, [(_text(label, where) or "", value) for label, value in pairs])


def _from_messages(messages: Sequence[object], task: str | None) -> tuple[str | None, list[Step]]:
    """Steps out of chat messages: each tool call is an action, its tool message what came back."""
    steps: list[Step] = []
    waiting: dict[str, int] = {}
    for number, message in enumerate(messages, start=1):
        where = f"message {number}"
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise InvalidInputError(f"{where} has no role out of {', '.join(sorted(_ROLES))}")
        said = _content(message.get("content"), where)
        if message["role"] == "user" and task is None:
            task = said
        elif message["role"] == "assistant":
            steps += _calls(message, said, where, waiting, len(steps))
        elif message["role"] == "tool":
            place = waiting.pop(str(message.get("tool_call_id")), None)
            if place is None:
                raise InvalidInputError(f"{where} answers no tool call that came before it")
            step = steps[place]
            steps[place] = _make(step.action, step.said, step.thought, said or "")
    return task, steps


def _calls(
    message: Mapping[Any, Any], said: str | None, where: str, waiting: dict[str, int], first: int
) -> list[Step]:
    calls = message.get("tool_calls") or ()
    if isinstance(calls, str) or not isinstance(calls, Sequence):
        raise InvalidInputError(f"{where}: 'tool_calls' is no list")
    steps = []
    for place, call in enumerate(calls, start=first):
        function = call.get("function") if isinstance(call, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(f"{where}: a tool call needs a function with a name")
        action = _call(name, function.get("arguments", {}), where)  # type: ignore[union-attr]
        waiting[str(call.get("id"))] = place
        steps.append(_make(action, str(action), said, None))
    return steps


def _content(value: object, where: str) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        parts = [part.get("text") for part in value if isinstance(part, Mapping)]
        value = "\n".join(part for part in parts if isinstance(part, str))
    return _text(value, f"{where}: 'content'")


def _observation(value: object, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return _text(value, f"{where}: 'observation'")
    return _plain(value, where)


def _plain(value: object, where: str) -> str:
    """A value as text: strings as they are, all else as JSON."""
    if isinstance(value, str):
        return _text(value, where) or ""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{where} holds a {type(value).__name__}, which is no JSON"
        ) from error


def _text(value: object, what: str) -> str | None:
    """A text that can be stored; None for none, and for an empty one."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInputError(f"{what} is a {type(value).__name__}, not text")
    if "\0" in value:
        raise InvalidInputError(f"{what} holds a NUL character; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{what} holds a lone surrogate; decode it properly") from error
    return value if value.strip() else None
