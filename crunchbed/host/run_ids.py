"""Run ids, who holds one, and how a live run is told from a dead one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import string
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from nodes.process import PROC, Process, start_ticks
from reserve_agent import files
from reserve_agent.errors import CrunchbedError, MissingRequirement

STATE_ROOT = Path("/run/crunchbed")
STATE_FILE = "run.json"
RUN_ID = re.compile(r"[a-z][a-z0-9]{3}")
_ATTEMPTS = 100


def draw_id() -> str:
    """Draw four characters, a letter first: a link's name, at most 15 long, begins with them."""
    rest = string.ascii_lowercase + string.digits
    first = secrets.choice(string.ascii_lowercase)
    return first + "".join(secrets.choice(rest) for _ in range(3))


@dataclass(frozen=True)
class RecordedProcess:
    """A process, by its pid and its start: another process with the same pid starts later."""

    name: str  # what the process is, such as "n1 heartbeat"
    pid: int
    start_ticks: int  # clock ticks from boot to its start, field 22 of /proc/PID/stat

    def is_alive(self, proc: Path = PROC) -> bool:
        """Whether this process still runs; a zombie does not."""
        return start_ticks(self.pid, proc) == self.start_ticks


@dataclass(frozen=True)
class RunRecord:
    """The content of ``run.json``, in a run's state directory."""

    id: str
    owner: RecordedProcess
    directory: Path | None  # where the run writes its results; None before there is one
    processes: tuple[RecordedProcess, ...]  # those that the run has started

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        return orjson.dumps(
            {
                "id": self.id,
                "pid": self.owner.pid,
                "start_ticks": self.owner.start_ticks,
                "dir": None if self.directory is None else str(self.directory),
                "processes": [asdict(process) for process in self.processes],
            },
            option=orjson.OPT_INDENT_2,
        )

    @classmethod
    def read(cls, state: Path) -> RunRecord | None:
        """Read the record in a state directory; None where it is missing or makes no sense."""
        try:
            data = orjson.loads((state / STATE_FILE).read_bytes())
            return cls(
                id=data["id"],
                owner=RecordedProcess("runner", data["pid"], data["start_ticks"]),
                directory=None if data["dir"] is None else Path(data["dir"]),
                processes=tuple(RecordedProcess(**process) for process in data["processes"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _lock_name(run_id: str) -> str:
    return f"crunchbed-{run_id}"


def lock_is_held(run_id: str, proc: Path = PROC) -> bool:
    """Whether some process holds the run's lock.

    The lock is an abstract Unix socket, which the kernel closes when its holder ends. Every
    process of the network namespace sees it, also one that does not see the run's /run: a run
    inside a chroot shares our links and bridges and must not be taken for dead.
    """
    names = (line.rpartition(" ")[2] for line in (proc / "net/unix").read_text().splitlines())
    return f"@{_lock_name(run_id)}" in names


def owner_is_alive(run_id: str, root: Path = STATE_ROOT, proc: Path = PROC) -> bool:
    """Whether a run is live: by its record, and by its lock where there is no record."""
    record = RunRecord.read(root / run_id)
    return lock_is_held(run_id, proc) if record is None else record.owner.is_alive(proc)


def _try_lock(run_id: str) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0{_lock_name(run_id)}")
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return lock


def _has_links(run_id: str) -> bool:
    return any(name.startswith(run_id) for _, name in socket.if_nameindex())


class RunClaim:
    """A live run's hold on its id, as a context manager; its end removes the state directory.

    ``path`` is that directory, for sockets and the like; only root may enter.
    """

    def __init__(self, run_id: str, path: Path, lock: socket.socket) -> None:
        self.run_id = run_id
        self.path = path
        self._lock = lock
        ticks = start_ticks(os.getpid())
        if ticks is None:
            raise CrunchbedError("cannot read /proc/self/stat")
        owner = RecordedProcess("runner", os.getpid(), ticks)
        self._write(RunRecord(run_id, owner, directory=None, processes=()))

    @classmethod
    def claim(cls, root: Path = STATE_ROOT) -> RunClaim:
        """Take a free id, before anything is made that carries it; CrunchbedError where none is.

        MissingRequirement: the state directory cannot be made, which takes root.
        """
        for _ in range(_ATTEMPTS):
            run_id = draw_id()
            lock = _try_lock(run_id)
            if lock is None:
                continue
            try:
                root.mkdir(parents=True, exist_ok=True)
                (root / run_id).mkdir(mode=0o700)
                if not _has_links(run_id):
                    return cls(run_id, root / run_id, lock)
                (root / run_id).rmdir()
            except FileExistsError:
                pass
            except PermissionError as error:
                lock.close()
                raise MissingRequirement(f"cannot write to {root}: runs need root") from error
            except OSError as error:
                lock.close()
                shutil.rmtree(root / run_id, ignore_errors=True)
                raise MissingRequirement(f"cannot write to {root}: {error.strerror}") from error
            lock.close()
        raise CrunchbedError(f"no free run id in {_ATTEMPTS} attempts: try `crunchbed clean`")

    def __enter__(self) -> RunClaim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def record_directory(self, directory: Path) -> None:
        """Write down where the run writes its results."""
        self._write(replace(self.record, directory=directory.resolve()))

    def add_process(self, process: Process) -> None:
        """Write down a process that was started, and drop those that have ended."""
        alive = [known for known in self.record.processes if known.is_alive()]
        if process.start_ticks is not None:
            alive.append(RecordedProcess(process.name, process.pid, process.start_ticks))
        self._write(replace(self.record, processes=tuple(alive)))

    def release(self) -> None:
        """Give the id back: the last thing that a run does."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)
        self._lock.close()

    def _write(self, record: RunRecord) -> None:
        """Replace the file as a whole: a reader gets the old record or the new one."""
        self.record = record
        files.write_bytes(self.path / STATE_FILE, record.to_json())
