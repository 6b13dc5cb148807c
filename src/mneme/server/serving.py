"""Run the server of a memory: `mneme serve`, and the same for programs.

Without other settings it listens on this computer alone. Every request needs a key; the first one
is made at the first start. Whoever opens the server to other computers has made a key before, or
says in which file the first one is to lie: a terminal or a journal of such a machine is no place
for it.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mneme.core.errors import ForbiddenError, MissingDependencyError
from mneme.govern.permission import ALL
from mneme.server.arenas import few_arenas
from mneme.settings import Settings
from mneme.wiring import build, open_engine

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mneme.app.memory import MemoryOS
    from mneme.core.engine import Engine
    from mneme.server.child import Order

PACKAGES: Final = ("fastapi", "uvicorn", "jinja2", "python_multipart", "httpx2")
FIRST: Final = "first"  # the name of the key that the first start makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is said once, when the server listens.

    Attributes:
        url: Where it answers.
        key: The text of a key, where the first start made it or a file of the caller's keeps it.
        key_file: That file.
    """

    url: str
    key: str | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:  # a key has no place in a log
        return f"Started(url={self.url!r}, key_file={self.key_file!r})"


def serve(
    target: str | Path | None = None,
    *,
    settings: Settings | None = None,
    key_file: Path | None = None,
    prepare: Callable[[MemoryOS], None] = lambda _memory: None,
    tell: Callable[[Started], None] = lambda _started: None,
) -> None:
    """Serve a memory until SIGTERM or SIGINT; then close it.

    With several processes (`Settings.serve_processes`) this one answers nothing: it starts and
    looks after them.

    Args:
        target: As for `mneme.open`.
        settings: Else what the environment says.
        key_file: Where the first key is written, for its owner alone to read.
        prepare: Called with the open memory before the server listens.
        tell: Called once it answers.

    Raises:
        MissingDependencyError: The extra `server` is not installed, or that of the model.
        ForbiddenError: It would be open to other computers without a key of its owner's.
        InvalidInputError: A host or an origin is none.
        BackendUnavailableError: The port is in use.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingDependencyError(package, "server", "the server")
    settings = Settings.from_environment() if settings is None else settings
    few_arenas()
    from mneme.server.processes import processes_of

    count = processes_of(settings)
    if count > 1:
        _serve_with(count, target, settings, key_file, prepare, tell)
        return
    engine = None if settings.serve_model is None else open_engine(settings.serve_model)
    with build(target, settings=settings) as memory:
        if engine is not None:
            memory.attach(engine)
        prepare(memory)
        _listen(memory, settings, engine, key_file, tell)


def _listen(
    memory: MemoryOS,
    settings: Settings,
    engine: Engine | None,
    key_file: Path | None,
    tell: Callable[[Started], None],
) -> None:
    from mneme.server.app import create_app
    from mneme.server.listening import Listening, bind, config_of, url_of
    from mneme.server.service import Service

    _check(memory, settings, key_file)
    listening = bind(settings.serve_host, settings.serve_port)
    with listening:
        started = Started(url=url_of(listening), key=first_key(memory, key_file), key_file=key_file)
        app = create_app(Service(memory=memory, settings=settings, engine=engine))
        Listening(config_of(app, settings), lambda: tell(started)).run([listening])


def _serve_with(
    count: int,
    target: str | Path | None,
    settings: Settings,
    key_file: Path | None,
    prepare: Callable[[MemoryOS], None],
    tell: Callable[[Started], None],
) -> None:
    from mneme.server.listening import hold, url_of
    from mneme.server.processes import Processes

    quiet = replace(settings, worker=False)
    with ExitStack() as held:
        # open to the end: who closes last, alone, leaves no log beside the store
        memory = held.enter_context(build(target, settings=quiet))
        prepare(memory)
        _check(memory, settings, key_file)
        holding = held.enter_context(hold(settings.serve_host, settings.serve_port))
        folder = Path(held.enter_context(_temporary_folder()))

        def ready() -> None:  # no key is made for a server that does not start
            key = first_key(memory, key_file)
            tell(Started(url=url_of(holding), key=key, key_file=key_file))

        Processes(_orders(count, target, settings, holding, folder)).run(ready)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="mneme-serve-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ForbiddenError(f"cannot make a temporary folder: {error}; set TMPDIR") from error


def _orders(
    count: int,
    target: str | Path | None,
    settings: Settings,
    holding: socket.socket,
    folder: Path,
) -> list[Order]:
    """What each process is told. All of them work through jobs: these are leased.

    With one worker among them, what is added by the others would wait for its next look, up to five
    seconds, and what they count of uses would not be written; it would not cost less, either
    (docs/serving.md). Memory for indexes is shared out: the setting is for the server.
    """
    from mneme.server.child import Order

    host, port = holding.getsockname()[:2]
    own = replace(settings, index_bytes=settings.index_bytes // count)
    return [
        Order(
            target=None if target is None else str(target),
            settings=own,
            host=host,
            port=port,
            counts=str(folder / f"{number}.json"),
            access_log=logging.getLogger("mneme.access").isEnabledFor(logging.INFO),
        )
        for number in range(count)
    ]


def _check(memory: MemoryOS, settings: Settings, key_file: Path | None) -> None:
    """Say what is wrong before anything is made."""
    from mneme.server.guard.hosts import Hosts

    Hosts(settings)
    if not is_loopback(settings.serve_host) and key_file is None and not memory.list_keys():
        raise ForbiddenError(
            f"{settings.serve_host} is open to other computers: make a key first "
            "(`mneme keys add NAME --namespace '*' --admin`), or say with --key-file where the "
            "first one is to be written"
        )


def is_loopback(host: str) -> bool:
    """Whether only this computer can call an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def first_key(memory: MemoryOS, key_file: Path | None = None) -> str | None:
    """The key that the file keeps; else, if the store has none yet, a new one that may do all.

    Raises:
        ForbiddenError: The file cannot be read or written.
    """
    kept = None if key_file is None else _kept(key_file)
    if kept is not None and memory.principal(kept) is not None:
        return kept
    if memory.list_keys():
        return None
    text, key = memory.make_key(FIRST, namespaces=[ALL], verbs=[ALL, "admin"])
    if key_file is not None:
        try:
            _keep(key_file, text)
        except OSError as error:
            memory.revoke_key(key.id)
            raise ForbiddenError(f"cannot write {key_file}: {error.strerror}") from error
    return text


def _kept(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise ForbiddenError(f"cannot read a key from {file}: {error}") from error


def _keep(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as new:
            new.write(text + "\n")
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def changed(settings: Settings, **given: object) -> Settings:
    """Settings with those that were given on the command line."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
