"""Files are old or new, never half; streams and devices behave; whatever goes wrong is said in one line."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nascli.artifacts.files import disk
from nascli.errors import ArtifactError, NascliError, UsageError

NOBODY = 65534


def run_python(code: str, *arguments: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """A python that imports nascli.artifacts.files.disk."""
    program = f"import sys\nfrom nascli.artifacts.files import disk\nfrom nascli.errors import NascliError\n{code}"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    # Python buffers a user's output, even if the one that runs the tests does not.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    capture = "stdout" not in options
    return subprocess.run(command, capture_output=capture, check=False, timeout=60, env=environment, **options)


def test_replaces_content_with_the_users_permissions(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    mask = os.umask(0o027)
    try:
        disk.write_atomically(path, b"one")
        disk.write_atomically(path, b"two")
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["cell.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_failure_at_any_step_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(disk, "_write_flushed", full)
        elif step == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(NascliError, match="No space left on device") as caught:
            disk.write_atomically(path, b"new")
    assert caught.value.exit_code == 1
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_limit_of_the_system_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"old")
    done = run_python(
        """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    disk.write_atomically(sys.argv[1], b"x" * 5000)
except NascliError as error:
    print(error.exit_code, error)
""",
        path,
    )
    assert done.stdout.startswith(b"1 "), done.stderr
    assert b"what was there before is unchanged" in done.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    script = """
try:
    disk.write_atomically(sys.argv[1] + "/a", b"x" * 20000)
    disk.write_atomically(sys.argv[1] + "/a", b"y" * 50000)
except NascliError as error:
    import os
    print(error.exit_code, os.listdir(sys.argv[1]), open(sys.argv[1] + "/a").read() == "x" * 20000, error)
"""
    program = f"import sys\nfrom nascli.artifacts.files import disk\nfrom nascli.errors import NascliError\n{script}"
    mount = f'mount -t tmpfs -o size=64k none "{tmp_path}" || exit 77; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode in {1, 77} and not done.stdout:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    assert done.stdout.startswith(b"1 ['a'] True "), done.stderr
    assert b"No space left on device" in done.stdout


def test_without_overwrite_a_file_that_came_into_being_later_stays(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    disk.check_output(path, overwrite=False)
    path.write_bytes(b"somebody else's")
    with pytest.raises(UsageError, match="exists: choose another name, or replace it with --overwrite"):
        disk.write_output(path, b"mine")
    assert path.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [path]
    disk.write_output(path, b"mine", overwrite=True)
    assert path.read_bytes() == b"mine"


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    path = tmp_path / "cell.json"
    disk.write_output(path, b"first")
    assert path.read_bytes() == b"first"
    with pytest.raises(UsageError, match="exists"):
        disk.write_output(path, b"second")
    assert path.read_bytes() == b"first"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "far" / "cell.json")
    disk.write_output(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "far" / "cell.json").read_bytes() == b"content"


def test_a_device_as_output_stays_a_device() -> None:
    disk.check_output("/dev/null", overwrite=False)
    disk.write_output("/dev/null", b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("name", "ending", "right"),
    [
        ("net.onnx", ".safetensors", "net.safetensors"),
        ("model.PTH", ".safetensors", "model.safetensors"),
        ("run.json", ".safetensors", "run.safetensors"),
        ("cell.safetensors", ".json", "cell.json"),
        ("cell.json", ".txt", "cell.txt"),
        ("cell.txt", ".json", "cell.json"),
    ],
)
def test_a_name_that_promises_another_format_is_refused(tmp_path: Path, name: str, ending: str, right: str) -> None:
    path = tmp_path / name
    message = (
        f"{path} would not be a {path.suffix} file, since the result is written as {ending}: call it {tmp_path / right}"
    )
    with pytest.raises(UsageError) as caught:
        disk.check_output(path, overwrite=True, ending=ending)
    assert str(caught.value) == message


def test_a_name_that_no_result_could_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"caf\\xe9\.json is not in UTF-8: choose another name$"):
        disk.check_output(tmp_path / "caf\udce9.json", overwrite=False)


@pytest.mark.parametrize("name", ["run", "run.safetensors", "RUN.SAFETENSORS", "run.v2", "resnet.1", "x.y.safetensors"])
def test_other_names_are_fine(tmp_path: Path, name: str) -> None:
    disk.check_output(tmp_path / name, overwrite=False, ending=".safetensors")


def test_check_output_names_what_is_in_the_way(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    for target, message in {
        tmp_path / "no" / "cell.json": f"there is no folder {tmp_path / 'no'}",
        tmp_path: "is a folder",
        taken: "exists",
        taken / "cell.json": "there is no folder",
        tmp_path / ("x" * 300): "File name too long",
        Path("cell\0.json"): "null",
    }.items():
        with pytest.raises(UsageError, match=message) as caught:
            disk.check_output(target, overwrite=False)
        assert "\n" not in str(caught.value)
    disk.check_output(taken, overwrite=True)
    disk.check_output(tmp_path / "new", overwrite=False)
    assert list(tmp_path.iterdir()) == [taken]


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder in which this process may not write, not even as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_read_only_folder_is_found_before_and_at_writing(read_only_folder: Path) -> None:
    path = read_only_folder / "cell.json"
    with pytest.raises(UsageError, match="is read-only"):
        disk.check_output(path, overwrite=False)
    with pytest.raises(UsageError, match="Permission denied"):
        disk.write_output(path, b"")


def test_reading_says_what_is_wrong_with_a_source(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"^no such file: .*missing\.json"):
        disk.read_bytes(tmp_path / "missing.json")
    with pytest.raises(ArtifactError, match="is a folder"):
        disk.read_bytes(tmp_path)
    with pytest.raises(ArtifactError, match="is a device"):
        disk.read_bytes("/dev/zero")
    (tmp_path / "file").write_bytes(b"12345")
    with pytest.raises(ArtifactError, match="Not a directory"):
        disk.read_bytes(tmp_path / "file" / "below")
    with pytest.raises(ArtifactError, match="more than 4 bytes"):
        disk.read_bytes(tmp_path / "file", limit=4)
    with pytest.raises(ArtifactError, match="null"):
        disk.read_bytes("a\0b")


READ_STDIN = """
try:
    sys.stdout.write(str(len(disk.read_bytes("-"))))
except NascliError as error:
    print(error.exit_code, error)
"""


def test_standard_input() -> None:
    assert run_python(READ_STDIN, input=b"\0\xff" * 500_000).stdout == b"1000000"
    assert run_python(READ_STDIN, input=b"").stdout == (
        b"3 standard input is empty: the command before it in the pipe failed?\n"
    )


def test_standard_input_that_is_a_terminal_is_not_waited_for() -> None:
    master, terminal = os.openpty()
    try:
        done = run_python(READ_STDIN, stdin=terminal)
    finally:
        os.close(master)
        os.close(terminal)
    assert done.stdout.startswith(b"2 '-' reads standard input, which is a terminal")


def test_standard_output_that_is_a_terminal_gets_no_binary() -> None:
    master, terminal = os.openpty()
    code = """
disk.check_output("-", False)
try:
    disk.check_output("-", False, ending=disk.BINARY)
except NascliError as error:
    sys.stderr.write(f"{error.exit_code} {error}")
"""
    try:
        done = run_python(code, stdout=terminal, stderr=subprocess.PIPE)
    finally:
        os.close(master)
        os.close(terminal)
    assert done.stderr.startswith(b"2 the result is binary")


WRITE_STDOUT = """
try:
    disk.write_output("-", bytes(int(sys.argv[1])))
except NascliError as error:
    sys.stderr.write(f"{error.exit_code} {error}")
"""


def test_standard_output_gets_the_bytes_as_they_are() -> None:
    assert run_python(WRITE_STDOUT, "1000000").stdout == bytes(1_000_000)


# A small result stays in Python's buffer, which is written once more when Python exits; a large one doesn't.
@pytest.mark.parametrize("size", ["100", "1000000"])
def test_closed_pipe_and_full_device_are_one_line_each(size: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        closed = run_python(WRITE_STDOUT, size, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert closed.stderr.startswith(b"1 standard output was closed")
    assert closed.returncode == 0, "python complained once more when it exited"
    with Path("/dev/full").open("wb") as full:
        done = run_python(WRITE_STDOUT, size, stdout=full, stderr=subprocess.PIPE)
    assert done.stderr == b"1 standard output could not be written: No space left on device"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("closing", "code", "message"),
    [
        ("<&-", READ_STDIN, b"3 standard input is closed, but '-' reads from it"),
        (">&-", WRITE_STDOUT, b"2 standard output is closed, but '-' writes to it"),
    ],
)
def test_streams_that_the_shell_closed(closing: str, code: str, message: bytes) -> None:
    program = f"import sys\nfrom nascli.artifacts.files import disk\nfrom nascli.errors import NascliError\n{code}"
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-c", program, "1"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.stdout + done.stderr).strip() == message


def test_sha256_is_the_standards() -> None:
    # FIPS 180-4's example for "abc".
    assert disk.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
