"""A run as one archive that can be judged again anywhere.

A bundle is a gzipped tar. Its first member, ``manifest.json``, has size and SHA-256 of every other
member, so that damage is found before the run is judged. The same run makes the same archive, byte
for byte.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.metadata
import io
import platform
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ValidationError

from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.files import whole, write_json

SUFFIX: Final = ".crunchbed.tar.gz"
LARGEST: Final = 8 << 30  # bytes unpacked; a run of an hour has some hundred megabytes
_MANIFEST: Final = "manifest.json"
_MANIFEST_LARGEST: Final = 1 << 20
_AROUND: Final = 1 << 16  # bytes that the headers and the padding of a member may take
_CHUNK: Final = 1 << 20
_FILES: Final = ("scenario.json", "run.json", "history.jsonl", "result.json", "verify.json")
_FOLDERS: Final = ("logs", "captures")
_NEEDED: Final = ("scenario.json", "history.jsonl")
_NAME: Final = re.compile(r"(?!\.)[\w.,=+@-]{1,200}(/(?!\.)[\w.,=+@-]{1,200}){0,3}")
_KERNEL_CONFIG: Final = Path("/proc/config.gz")
_HIDDEN: Final = "************"
_BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)


class Member(BaseModel, frozen=True, extra="forbid"):
    """Size in bytes and checksum of a member, as in the manifest."""

    size: int
    sha256: str


class Manifest(BaseModel, frozen=True, extra="forbid"):
    """The members of a bundle, and the verdict when the bundle was made."""

    format: Literal[1] = 1
    made_by: str
    verdict: str
    files: dict[str, Member]


def pack(directory: Path, out: Path, *, captures: bool = True) -> Manifest:
    """Write the bundle of a run; it appears whole or not at all.

    Secrets of the scenario (CHAP) are replaced. The kernel's configuration is added where the
    kernel publishes it and the run had the same kernel.

    Raises:
        BadInput: ``directory`` is not that of a whole run.
        CrunchbedError: the archive cannot be written.
    """
    from crunchbed.archive.rejudge import rejudge  # brings the checks

    _, result = rejudge(directory)
    if not (directory / "history.jsonl").exists():
        raise BadInput(f"{directory}: expected a run with a history.jsonl, got none")
    members = dict(_members(directory, captures=captures))
    manifest = Manifest(
        made_by=importlib.metadata.version("crunchbed"),
        verdict=result.verdict,
        files={name: _member(content) for name, content in members.items()},
    )
    first = orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    with _writing(out), whole(out) as partial:
        _write(partial, {_MANIFEST: first, **members})
    return manifest


def _write(path: Path, members: Mapping[str, bytes]) -> None:
    """Write the archive of these members, in their order, without a time in it."""
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))


def unpack(path: Path, out: Path) -> Manifest:
    """Unpack a bundle into ``out`` and check every member.

    Of a damaged bundle the members before the damage are left in ``out``.

    Raises:
        BadInput: the bundle cannot be read, is none, or is damaged; says where.
        CrunchbedError: ``out`` cannot be written.
    """
    try:
        with (
            gzip.open(path) as file,
            _Bounded(file, _MANIFEST_LARGEST + _AROUND) as packed,
            tarfile.open(fileobj=packed, mode="r|") as archive,
        ):
            entries = iter(archive)
            manifest = _read_manifest(archive, next(entries, None))
            _check_manifest(manifest)
            packed.left += sum(member.size + _AROUND for member in manifest.files.values())
            left = dict(manifest.files)
            for entry in entries:
                _take(archive, entry, left, out)
            if left:
                raise ValueError(f"{next(iter(left))} is missing")
            while packed.read(1 << 20):
                pass  # gzip checks the checksum at the end
    except OSError as error:
        if not isinstance(error, gzip.BadGzipFile):
            raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
        raise BadInput(f"{path}: expected a whole bundle: {error}") from None
    except _BROKEN as error:
        words = str(error) or type(error).__name__
        raise BadInput(f"{path}: expected a whole bundle: {words}") from None
    with _writing(out / _MANIFEST):
        write_json(out / _MANIFEST, manifest.model_dump(mode="json"))
    return manifest


class _Bounded(io.BufferedIOBase):
    """A stream with a limit, since a few packed bytes can unpack to any number of bytes."""

    def __init__(self, file: gzip.GzipFile, left: int) -> None:
        self._file = file
        self.left = left

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the stream; ValueError where more than the limit has been read."""
        content = self._file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"more is in it than its {_MANIFEST} says")
        return content


def _read_manifest(archive: tarfile.TarFile, entry: tarfile.TarInfo | None) -> Manifest:
    if entry is None or entry.name != _MANIFEST or not entry.isreg():
        raise ValueError(f"the first member is not {_MANIFEST}")
    if entry.size > _MANIFEST_LARGEST:
        raise ValueError(f"{_MANIFEST} is too large")
    try:
        return Manifest.model_validate(orjson.loads(b"".join(_chunks(archive, entry))))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"]))
        raise ValueError(f"{_MANIFEST}: {where}: {found['msg']}") from None


def _check_manifest(manifest: Manifest) -> None:
    for name in manifest.files:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a member")
    for name in _NEEDED:
        if name not in manifest.files:
            raise ValueError(f"{name} is missing")
    if sum(max(0, member.size) for member in manifest.files.values()) > LARGEST:
        raise ValueError(f"it would unpack to more than {LARGEST} bytes")


def _take(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, left: dict[str, Member], out: Path
) -> None:
    """Check one member against the manifest, and write it."""
    expected = left.pop(entry.name, None)
    if expected is None or not entry.isreg():
        raise ValueError(f"{entry.name[:100]!r} is not in its manifest")
    if entry.size != expected.size:
        raise ValueError(f"{entry.name} has {entry.size} bytes, not {expected.size}")
    digest, length = hashlib.sha256(), 0
    target = out / entry.name
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in _chunks(archive, entry):
                digest.update(chunk)
                length += len(chunk)
                file.write(chunk)
    if length != entry.size:
        raise ValueError(f"{entry.name} ends early")
    if digest.hexdigest() != expected.sha256:
        raise ValueError(f"{entry.name} is damaged: its SHA-256 is another")


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Say that ``target`` cannot be written, since the archive is not to blame."""
    try:
        yield
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise CrunchbedError(f"{target}: cannot be written: {error.strerror}") from error


def _chunks(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(entry)
    while file is not None and (chunk := file.read(_CHUNK)):
        yield chunk


def _member(content: bytes) -> Member:
    return Member(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _members(directory: Path, *, captures: bool) -> Iterator[tuple[str, bytes]]:
    for name in _FILES:
        if (directory / name).is_file():
            content = (directory / name).read_bytes()
            if name == "scenario.json":
                content = orjson.dumps(_hidden(orjson.loads(content)), option=orjson.OPT_INDENT_2)
            yield name, content
    for folder in _FOLDERS if captures else _FOLDERS[:1]:
        for path in sorted((directory / folder).glob("*")):
            if path.is_file() and not path.is_symlink():
                yield f"{folder}/{path.name}", path.read_bytes()
    config = _kernel_config(directory)
    if config is not None:
        yield "kernel-config", config


def _hidden(value: Any) -> Any:
    """Return a scenario's value without its secrets."""
    if isinstance(value, dict):
        return {
            key: _HIDDEN if "secret" in key and isinstance(inner, str) else _hidden(inner)
            for key, inner in value.items()
        }
    return [_hidden(one) for one in value] if isinstance(value, list) else value


def _kernel_config(directory: Path) -> bytes | None:
    try:
        record = orjson.loads((directory / "run.json").read_bytes())
        if record.get("versions", {}).get("kernel") != platform.release():
            return None
        return gzip.decompress(_KERNEL_CONFIG.read_bytes())
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError, AttributeError):
        return None
