"""Reading and writing whole files: a file is the old one or the new one, never half of either; "-" is a pipe."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from nascli.distributed import launch
from nascli.errors import ArtifactError, NascliError, UsageError, escaped

PIPE = "-"
BINARY = ".safetensors"
PROMISES = frozenset(
    {BINARY, ".json", ".jsonl", ".onnx", ".pt", ".pt2", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".h5", ".hdf5"}
    | {
        ".npy",
        ".npz",
        ".pb",
        ".tflite",
        ".csv",
        ".yaml",
        ".yml",
        ".toml",
        ".svg",
        ".png",
        ".pdf",
        ".txt",
        ".py",
        ".md",
        ".keras",
        ".zip",
        ".tar",
        ".gz",
    }
)
"""Endings that promise a format to programs and people."""

LARGEST_INPUT = 1 << 33
"""The most bytes that are read, 8 GiB: the size of a pipe or a device is not known beforehand."""

_CHUNK = 1 << 24
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The errors of the system that say that nothing more can be written."""

_USER_ERRORS = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EISDIR,
    errno.EILSEQ,
}


def sha256(data: bytes) -> str:
    """The digest of a file's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_pipe(name: str | Path) -> bool:
    """Whether a source or target is "-": standard input or standard output."""
    return str(name) == PIPE


def display_name(source: str | Path) -> str:
    """A source as messages name it."""
    return "standard input" if is_pipe(source) else str(source)


def read_bytes(source: str | Path, limit: int = LARGEST_INPUT) -> bytes:
    """The bytes of a file, or of standard input for "-".

    Raises ArtifactError for a missing or unreadable file, a folder or device, empty standard input, or more than
    `limit` bytes; UsageError if standard input is a terminal.
    """
    if is_pipe(source) and launch.count() > 1:
        raise UsageError("standard input is for one process, and there are several: name a file")
    if is_pipe(source):
        return _read_standard_input(limit)
    if not str(source):
        raise ArtifactError("no such file: the name is empty")
    try:
        with Path(source).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise ArtifactError(f"{source}: is a device, not a file")
            return _read_all(stream, str(source), limit)
    except FileNotFoundError:
        raise ArtifactError(f"no such file: {source}") from None
    except IsADirectoryError:
        raise ArtifactError(f"{source}: is a folder, not a file") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{source}: cannot be read: {_reason(error)}") from None


def read_once(*sources: str | Path | None) -> None:
    """Raise UsageError if standard input is named more than once."""
    if sum(source is not None and is_pipe(source) for source in sources) > 1:
        raise UsageError("'-' is given twice, but standard input can be read once: name files for the others")


def check_output(target: str | Path, overwrite: bool, *, ending: str | None = None) -> None:
    """Raise UsageError if `write_output` could not write to a target; called before the content is made.

    `ending` is that of the content's format, such as ".json". A name that promises another format is refused, and
    BINARY content is not sent to a terminal.
    """
    if not launch.is_first():
        return
    if is_pipe(target):
        _check_standard_output()
        if ending == BINARY and sys.stdout.isatty():
            raise UsageError(
                "the result is binary and standard output is a terminal: pipe it on, or name a file with -o"
            )
        return
    path = Path(target)
    check_name(path)
    if ending is not None and ending != path.suffix.lower() in PROMISES:
        raise UsageError(
            f"{path} would not be a {path.suffix} file, since the result is written as {ending}: call it "
            f"{path.with_suffix(ending)}"
        )
    with folder_errors(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a file in it")
        if path.exists():
            if path.is_file() and not overwrite:
                raise _exists(path)
            if not _has_access(path, os.W_OK):
                raise UsageError(f"{path} is write-protected")
        folder = _destination(path).parent
        if not folder.is_dir():
            raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
        if not _has_access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"{path} cannot be written: the folder {path.parent} is read-only")


def check_name(path: Path) -> None:
    """Raise UsageError for a name that is not valid Unicode: results record in JSON what they were made from."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{escaped(str(path))} is not in UTF-8: choose another name") from None


def refuse_overwriting(outputs: Iterable[str | Path | None], inputs: Sequence[str | Path | None]) -> None:
    """Raise UsageError if an output is also an input: not even `--overwrite` replaces an input."""
    for output in outputs:
        for one in inputs:
            if output is not None and one is not None and same_file(output, one):
                raise UsageError(f"{output} is what the result is made from: name another file for the result")


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names stand for one file, which need not exist yet. A pipe is not a file."""
    if is_pipe(one) or is_pipe(other):
        return False
    try:
        return Path(one).resolve() == Path(other).resolve() or Path(one).samefile(other)
    except (OSError, RuntimeError, ValueError):
        return False  # one of them is missing, or cannot be the name of a file


def write_output(target: str | Path, data: bytes, overwrite: bool = False) -> None:
    """Write a result to a file, or to standard output for "-".

    A file that has appeared since `check_output` is not overwritten either. Raises UsageError or NascliError.
    """
    if not launch.is_first():
        return
    if is_pipe(target):
        _write_standard_output(data)
    else:
        write_atomically(target, data, overwrite=overwrite)


def write_atomically(target: str | Path, data: bytes, *, overwrite: bool = True) -> None:
    """Replace a file by `data` in one step: a reader sees the old content or the new, never a mix.

    The data goes to a temporary file in the same folder, which is flushed to the disk before it takes the name. On any
    failure the old file is unchanged and the temporary one is removed. Raises UsageError (folder missing or read-only,
    file exists and not `overwrite`) or NascliError (disk full or broken).
    """
    path = Path(target)
    with folder_errors(path):
        final = _destination(path)
        if final.exists() and not final.is_file():
            # A device or a named pipe: it has no content to keep, and a rename would remove it.
            final.write_bytes(data)
            return
        temporary = final.with_name(f".nascli-{secrets.token_hex(8)}.tmp")
        try:
            _write_flushed(temporary, data)
            _publish(temporary, final, path, overwrite)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        _flush_folder(final.parent)


def check_output_folder(target: Path, overwrite: bool, own: Collection[str]) -> None:
    """Raise UsageError if `write_folder` could not write to a target; called before the content is made.

    own: the names of the files in such a folder. One that holds anything else is not replaced.
    """
    check_name(target)
    with folder_errors(target):
        if target.exists():
            if not target.is_dir():
                raise UsageError(f"{target} is a file: name a folder for the result")
            strange = sorted({item.name for item in target.iterdir()} - {*own, "__pycache__"})
            if strange:
                raise UsageError(f"{target} is a folder with other files, {strange[0]} for one: name a new folder")
            if not overwrite and any(target.iterdir()):
                raise _exists(target)
        parent = _destination(target).parent
        if not parent.is_dir():
            raise UsageError(f"{target} cannot be written: there is no folder {target.parent}")
        if not _has_access(parent, os.W_OK | os.X_OK):
            raise UsageError(f"{target} cannot be written: the folder {target.parent} is read-only")


def make_folder(folder: Path) -> None:
    """Make a folder for results, unless it is there. Raises UsageError or NascliError if files can't be put in it.

    Some places, such as /proc, only tell when this is tried.
    """
    check_name(folder)
    with folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".nascli-{secrets.token_hex(8)}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()


def write_folder(target: Path, files: Mapping[str, bytes], overwrite: bool = False) -> None:
    """Write a folder with these files. It is made under a temporary name, so that it is whole or not there at all.

    Raises UsageError or NascliError, as `check_output_folder` and `write_atomically`.
    """
    check_output_folder(target, overwrite, files)
    final = _destination(target)
    fresh, old = (final.with_name(f".nascli-{secrets.token_hex(8)}.tmp") for _ in range(2))
    with folder_errors(target):
        try:
            fresh.mkdir()
            for name, data in files.items():
                _write_flushed(fresh / name, data)
            _flush_folder(fresh)
            if final.exists():
                final.rename(old)
            try:
                fresh.rename(final)
            except OSError:
                if old.exists():
                    old.rename(final)
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        _flush_folder(final.parent)


def _write_flushed(path: Path, data: bytes) -> None:
    # Mode "x" applies the user's umask, which tempfile's 0600 would ignore.
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _publish(temporary: Path, final: Path, path: Path, overwrite: bool) -> None:
    """Give the temporary file its name; without `overwrite`, only if that is free. `path` is how the user wrote it."""
    if overwrite:
        temporary.replace(final)
        return
    try:
        final.hardlink_to(temporary)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}:
            raise
        # Without hard links, checking and renaming are two steps.
        if final.exists():
            raise _exists(path) from None
        temporary.replace(final)


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut, on file systems that can flush folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _has_access(path: Path, mode: int) -> bool:
    """Whether the process, as its effective user, has access to a path."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _destination(path: Path) -> Path:
    """The file that a path leads to: links are followed, so that a link stays a link."""
    return Path(os.path.realpath(path))


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists: choose another name, or replace it with --overwrite")


@contextmanager
def folder_errors(path: Path) -> Iterator[None]:
    """Turn system errors about writing `path` into UsageError, or NascliError for a full or broken disk."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            text = f"{path} could not be written: {_reason(error)}; what was there before is unchanged. Free some space"
            raise NascliError(text) from None
        kind = UsageError if error.errno in _USER_ERRORS else NascliError
        raise kind(f"{path} cannot be written: {_reason(error)}") from None
    except ValueError as error:  # a path with a null character
        raise UsageError(f"{str(path)!r} cannot be written: {error}") from None


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _read_standard_input(limit: int) -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise ArtifactError("standard input is closed, but '-' reads from it")
    if sys.stdin.isatty():
        raise UsageError(
            "'-' reads standard input, which is a terminal: pipe the result of another command into this one"
        )
    try:
        data = _read_all(sys.stdin.buffer, "standard input", limit)
    except OSError as error:
        raise ArtifactError(f"standard input cannot be read: {_reason(error)}") from None
    if not data:
        raise ArtifactError("standard input is empty: the command before it in the pipe failed?")
    return data


def _read_all(stream: BinaryIO, where: str, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := stream.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ArtifactError(f"{where}: has more than {limit:,} bytes")
    return b"".join(chunks)


def _write_standard_output(data: bytes) -> None:
    _check_standard_output()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _drop_standard_output()
        raise NascliError(
            "standard output was closed: the command after this one in the pipe stopped reading"
        ) from None
    except OSError as error:
        _drop_standard_output()
        raise NascliError(f"standard output could not be written: {_reason(error)}") from None


def _check_standard_output() -> None:
    if sys.stdout is None or sys.stdout.closed:  # as after `>&-`
        raise UsageError("standard output is closed, but '-' writes to it")


def _drop_standard_output() -> None:
    """Discard what Python still buffers for standard output; otherwise it complains again when it exits."""
    with suppress(OSError, ValueError):  # a replaced standard output may have no descriptor
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
