"""Perform the steps of the Dockerfile where there is no container engine, then run what it makes.

    python deploy/run_dockerfile.py                   # as root, on Linux, with Python 3.11 or newer

In: the Dockerfile and what .dockerignore lets through. Each stage is an overlay in memory over this
computer's own files, which stand in for the base image: RUN, COPY and USER do what they say, and
nothing is left behind. The steps are those that our Dockerfile uses; another one is an error.
Then the CMD is started as the image's user, the HEALTHCHECK is run, a memory is added and searched
with the first key, and SIGTERM has to end it with status 0. Out: one line for each of these, and
with --freeze the versions that were installed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
INSIDE = "MNEME_DOCKERFILE_INSIDE"
STARTS_IN_S = 60.0
ENDS_IN_S = 20.0
_PASSED_ON = ("PIP_", "SSL_", "http", "https", "no_proxy", "HTTP", "NO_PROXY")
_NOTHING_TO_DO = ("EXPOSE", "VOLUME", "STOPSIGNAL", "CMD", "HEALTHCHECK")


@dataclass
class Stage:
    """One stage of the build: where its files are, and what was said of it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    said: dict[str, str] = field(default_factory=dict)

    def command(self, *command: str) -> list[str]:
        """A command as it runs within the stage."""
        to = shlex.join(["cd", self.workdir]) + " && exec " + shlex.join(command)
        return ["chroot", f"--userspec={self.user}", str(self.root), "/bin/sh", "-ec", to]

    def environment(self) -> dict[str, str]:
        """The stage's own, and what this computer needs to reach its package index."""
        kept = {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)}
        home = {"HOME": "/root"} if self.user.startswith("0") else {}
        return kept | home | {"PATH": os.environ["PATH"]} | self.env


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, comments and line ends taken out."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    split = (line.strip().split(None, 1) for line in whole.splitlines() if line.strip())
    return [(name.upper(), rest) for name, rest in split]


class Build:
    """The stages, made one after the other."""

    def __init__(self, folder: Path, context: Path) -> None:
        self._folder, self._context = folder, context
        self._stages: dict[str, Stage] = {}
        self._args: dict[str, str] = {}
        self.last: Stage | None = None

    def perform(self, name: str, rest: str) -> None:
        """One instruction."""
        if name in _NOTHING_TO_DO:
            self._stage.said[name] = rest
            return
        step = getattr(self, f"_{name.lower()}", None)
        if step is None:
            raise SystemExit(f"{name} is no step that this script knows")
        step(rest)

    @property
    def _stage(self) -> Stage:
        if self.last is None:
            raise SystemExit("a Dockerfile begins with FROM")
        return self.last

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self._args[name] = default

    def _from(self, rest: str) -> None:
        base, *named = rest.split()
        known = base.replace("${BASE}", self._args.get("BASE", ""))
        print(f"FROM {known}: this computer's own files stand in for it")
        root = overlay(self._folder / f"stage{len(self._stages)}")
        self.last = Stage(root)
        self._stages[named[1] if named else str(len(self._stages))] = self.last

    def _env(self, rest: str) -> None:
        for each in shlex.split(rest):
            name, _, value = each.partition("=")
            self._stage.env[name] = value.replace("$PATH", self._stage.environment()["PATH"])

    def _workdir(self, rest: str) -> None:
        inside(self._stage.root, rest).mkdir(parents=True, exist_ok=True)
        self._stage.workdir = rest

    def _user(self, rest: str) -> None:
        self._stage.user = rest

    def _run(self, rest: str) -> None:
        stage = self._stage
        subprocess.run(stage.command("/bin/sh", "-ec", rest), env=stage.environment(), check=True)
        print(f"RUN {rest[:70]}...: done")

    def _copy(self, rest: str) -> None:
        *sources, target = (part for part in shlex.split(rest) if not part.startswith("--"))
        option = re.match(r"--from=(\S+)", rest)
        place = inside(self._stage.root, str(Path(self._stage.workdir) / target))
        for source in sources:
            if option:
                into = place
                shutil.copytree(inside(self._stages[option[1]].root, source), into, symlinks=True)
                continue
            given = self._context / source
            if given.is_dir():
                copy_allowed(self._context, given, place)
            else:
                into = place / given.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(allowed(self._context, given), into)


def inside(root: Path, path: str) -> Path:
    """A path of a stage, as seen from outside."""
    return root / path.lstrip("/")


def overlay(folder: Path) -> Path:
    """A root in which all of this computer's files are seen and may be changed, for nobody else."""
    above, work, merged = (folder / name for name in ("above", "work", "merged"))
    for each in (above, work, merged):
        each.mkdir(parents=True)
    options = f"lowerdir=/,upperdir={above},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", merged / "proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", merged / "dev"], check=True)
    # In an image everybody may run its Python; here it may lie in a closed home.
    for parent in Path(sys.executable).resolve().parents:
        seen = inside(merged, str(parent))
        seen.chmod(seen.stat().st_mode | 0o055)
    return merged


def ignored(context: Path, path: Path) -> bool:
    """Whether .dockerignore keeps a file from the builder; the last line that fits decides."""
    relative = path.relative_to(context)
    names = [str(relative), *(str(parent) for parent in relative.parents[:-1])]
    hidden = False
    for line in (context / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!").removeprefix("**/")
        if not pattern or line.startswith("#"):
            continue
        against = [relative.name, *relative.parts] if "**/" in line else names
        if any(fnmatch.fnmatch(each, pattern) for each in against):
            hidden = not line.startswith("!")
    return hidden


def allowed(context: Path, path: Path) -> Path:
    """A file, if the builder is given it."""
    if ignored(context, path):
        raise SystemExit(f".dockerignore keeps {path.relative_to(context)} from the builder")
    return path


def copy_allowed(context: Path, source: Path, target: Path) -> None:
    """A folder, without what the builder is not given."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and not ignored(context, path):
            into = target / path.relative_to(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, into)


def try_out(stage: Stage, port: int) -> None:
    """Start the CMD as the image would, use it, and end it."""
    env = stage.environment() | {"MNEME_SERVE_PORT": str(port)}
    command = stage.command(*json.loads(stage.said["CMD"]))
    server = subprocess.Popen(command, env=env)
    try:
        health = json.loads(stage.said["HEALTHCHECK"].partition("CMD ")[2])
        ends = time.monotonic() + STARTS_IN_S
        while subprocess.run(stage.command(*health), env=env, stderr=-3, check=False).returncode:
            if server.poll() is not None or time.monotonic() > ends:
                raise SystemExit("the server did not become healthy")
            time.sleep(0.2)
        print("HEALTHCHECK: healthy")
        kept = inside(stage.root, "/data/first.key")
        mode = kept.stat().st_mode & 0o777
        if mode != 0o600 or kept.stat().st_uid != int(stage.user.split(":")[0]):
            raise SystemExit(f"the first key has mode {mode:o}")
        use(f"http://127.0.0.1:{port}/v1/namespaces/alice", kept.read_text().strip())
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        print(f"CMD: a memory was added and found; it runs as user {owner}")
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(ENDS_IN_S)
    print(f"SIGTERM: ended with status {status}")
    if status != 0:
        raise SystemExit(status)


def use(space: str, key: str) -> None:
    """Add a memory and find it again."""

    def post(path: str, body: dict[str, str]) -> dict[str, object]:
        head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(space + path, json.dumps(body).encode(), head)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    post("/memories", {"content": "The ferry to Askøy leaves at seven."})
    if "Askøy" not in json.dumps(post("/search", {"query": "ferry"}), ensure_ascii=False):
        raise SystemExit("what was added is not found")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=18350)
    parser.add_argument("--freeze", type=Path, default=None, help="write the versions here")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"  # for itself, in mounts of its own
        os.execvp("unshare", ["unshare", "--mount", "--", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", folder], check=True)
        build = Build(Path(folder), REPO)
        for name, rest in instructions((REPO / "deploy" / "Dockerfile").read_text("utf-8")):
            build.perform(name, rest)
        stage = build.last
        assert stage is not None
        if options.freeze:
            pip = stage.command(
                "/opt/mneme/bin/python", "-m", "pip", "freeze", "--exclude", "mneme"
            )
            found = subprocess.run(pip, env=stage.environment(), check=True, capture_output=True)
            options.freeze.write_bytes(found.stdout)
        try_out(stage, options.port)
        subprocess.run(["umount", "--recursive", "--lazy", folder], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
