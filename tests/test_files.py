import os
import stat

import pytest

import relumodel as rm
from relumodel.files import replace_file


def test_writes_and_returns_the_path(tmp_path):
    path = replace_file(str(tmp_path / "a.bin"), lambda file: file.write(b"new"))
    assert path == tmp_path / "a.bin"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), rm.InputError("no")])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of the n")
        raise error

    with pytest.raises(type(error)):
        replace_file(path, write)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_full_disk_is_a_file_error(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(rm.FileError, match=r"a\.bin cannot be written: No space left on device"):
        replace_file(path, write)
    assert path.read_bytes() == b"old"


def test_a_failing_move_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(rm.FileError, match="Permission denied"):
        replace_file(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    for path in (tmp_path / "no" / "a.bin", tmp_path / "plain" / "a.bin", tmp_path):
        with pytest.raises(rm.FileError, match=r"cannot be written: .*\. Check that the folder exists and is writable"):
            replace_file(path, lambda file: file.write(b"new"))
    assert sorted(os.listdir(tmp_path)) == ["plain"]


def test_the_mode_is_that_of_other_files(tmp_path):
    old = os.umask(0o027)
    try:
        path = replace_file(tmp_path / "a.bin", lambda file: file.write(b"new"))
    finally:
        assert os.umask(old) == 0o027
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
