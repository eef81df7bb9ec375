import hashlib
import io
import logging
import os
import struct
import threading
import zipfile

import pytest

from srnn.datasets import DataError, archives
from srnn.datasets.archives import fetch_zipped

CONTENT = b"".join(i.to_bytes(4, "little") for i in range(128_000))


def zipped(compression=zipfile.ZIP_DEFLATED, **members):
    """An archive of members; ``__`` in a name is a slash."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in (members or {"data": CONTENT}).items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def md5(content):
    return hashlib.md5(content).hexdigest()


def test_a_missing_file_is_downloaded_and_unpacked(site, tmp_path):
    archive = zipped()
    path = tmp_path / "new" / "folder" / "data"
    assert fetch_zipped(path, [site.put("data.zip", archive)], md5(archive)) == path
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["data"]


def test_a_file_that_is_there_is_not_looked_at(tmp_path):
    (tmp_path / "data").write_bytes(b"anything")
    (tmp_path / "data.zip").write_bytes(b"anything")
    assert fetch_zipped(tmp_path / "data", [], "").read_bytes() == b"anything"


def test_an_archive_that_is_there_is_unpacked_and_stays(tmp_path):
    archive = zipped()
    (tmp_path / "data.zip").write_bytes(archive)
    assert fetch_zipped(tmp_path / "data", [], md5(archive)).read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["data", "data.zip"]
    assert (tmp_path / "data.zip").read_bytes() == archive


def test_a_wrong_archive_that_is_there_is_named_and_left_alone(site, tmp_path, one_sentence):
    (tmp_path / "data.zip").write_bytes(b"somebody's notes")
    archive = zipped()
    with pytest.raises(DataError, match=r"data\.zip is not the published file") as error:
        fetch_zipped(tmp_path / "data", [site.put("data.zip", archive)], md5(archive))
    one_sentence(error)
    assert os.listdir(tmp_path) == ["data.zip"]
    assert (tmp_path / "data.zip").read_bytes() == b"somebody's notes"
    assert site.asked == []


@pytest.mark.parametrize(
    "members",
    [
        {"data": CONTENT, "readme": b"?"},
        {"folder__": b"", "folder__data": CONTENT, "__MACOSX__._data": b"?"},
        {"another_name": CONTENT},
        {"..__..__escaped": CONTENT},
        {"__tmp__escaped": CONTENT},
    ],
)
def test_the_member_is_found_and_its_folder_means_nothing(members, tmp_path):
    archive = zipped(**members)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "data.zip").write_bytes(archive)
    assert fetch_zipped(folder / "data", [], md5(archive)).read_bytes() == CONTENT
    assert sorted(os.listdir(folder)) == ["data", "data.zip"]
    assert os.listdir(tmp_path) == ["a"]


def damaged():
    """A wrong byte in a stored member: only its checksum can tell."""
    archive = zipped(zipfile.ZIP_STORED)
    return archive.replace(struct.pack("<I", 100_000), struct.pack("<I", 1), 1)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (zipped(one=b"1", two=b"2"), "has 2 files, and not one that is called data"),
        (zipped(a__data=b"1", b__data=b"2"), "has 2 files, and not one"),
        (zipped(folder__=b""), "has 0 files"),
        (damaged(), "Bad CRC-32"),
        (zipped()[:-50], "not a zip file"),
        (zipped()[:1000] + zipped()[2000:], "cannot be unpacked"),
        (b"<html>Not found</html>", "not a zip file"),
    ],
)
@pytest.mark.parametrize("downloaded", [True, False])
def test_an_archive_without_the_file_is_one_sentence(
    archive, reason, downloaded, site, tmp_path, one_sentence
):
    urls = [site.put("data.zip", archive)] if downloaded else []
    if not downloaded:
        (tmp_path / "data.zip").write_bytes(archive)
    with pytest.raises(DataError, match=reason) as error:
        fetch_zipped(tmp_path / "data", urls, md5(archive))
    assert str(tmp_path / "data.zip") in one_sentence(error)
    assert os.listdir(tmp_path) == ([] if downloaded else ["data.zip"])


@pytest.mark.parametrize("downloaded", [True, False])
def test_a_full_disk_is_one_sentence(downloaded, site, tmp_path, full_disk, one_sentence):
    archive = zipped()
    assert len(archive) < 300_000 < len(CONTENT)
    if not downloaded:
        (tmp_path / "data.zip").write_bytes(archive)
    url = site.put("data.zip", archive)
    with full_disk(), pytest.raises(DataError, match=r"data could not be written") as error:
        fetch_zipped(tmp_path / "data", [url], md5(archive))
    one_sentence(error)
    assert len(site.asked) == downloaded
    assert os.listdir(tmp_path) == ([] if downloaded else ["data.zip"])


def test_a_stop_while_unpacking_leaves_the_archive_for_the_next_time(site, tmp_path, monkeypatch):
    archive = zipped()
    url = site.put("data.zip", archive)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipExtFile, "read", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch_zipped(tmp_path / "data", [url], md5(archive))
    assert os.listdir(tmp_path) == ["data.zip"]
    assert fetch_zipped(tmp_path / "data", [], md5(archive)).read_bytes() == CONTENT


def test_what_a_killed_process_unpacked_is_not_trusted(tmp_path):
    archive = zipped()
    (tmp_path / ".data.part").write_bytes(CONTENT + CONTENT)
    (tmp_path / "data.zip").write_bytes(archive)
    assert fetch_zipped(tmp_path / "data", [], md5(archive)).read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["data", "data.zip"]


def test_an_interrupted_download_is_continued(site, tmp_path, one_sentence):
    archive = zipped()
    url = site.put("data.zip", archive, cut=70_000)
    with pytest.raises(DataError, match=r"data\.zip is missing .*goes on from there") as error:
        fetch_zipped(tmp_path / "data", [url], md5(archive))
    one_sentence(error)
    assert os.listdir(tmp_path) == [".data.zip.part"]
    assert fetch_zipped(tmp_path / "data", [url], md5(archive)).read_bytes() == CONTENT
    assert site.asked == [("/data.zip", None), ("/data.zip", "bytes=70000-")]
    assert os.listdir(tmp_path) == ["data"]


def test_a_read_only_folder_is_one_sentence(site, open_folder, somebody_else, one_sentence):
    archive = zipped()
    (open_folder / "data.zip").write_bytes(archive)
    os.chmod(open_folder, 0o555)
    url = site.put("data.zip", archive)
    with somebody_else(), pytest.raises(DataError, match=r"data is missing .*read-only") as error:
        fetch_zipped(open_folder / "data", [url], md5(archive))
    assert "--data-dir" in one_sentence(error)


def test_of_many_one_downloads_and_unpacks(site, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    fetch_in_threads(site, tmp_path)
    assert len(site.asked) == 1
    assert caplog.text.count("unpacking") == 1


def test_without_locks_many_may_still_fetch_one_file(site, tmp_path, without_locks):
    fetch_in_threads(site, tmp_path)


def test_who_finds_the_archive_gone_looks_for_the_file(tmp_path, monkeypatch):
    """Without locks, another process can be done at any time."""

    def gone(*_):
        (tmp_path / "data").write_bytes(CONTENT)
        raise DataError("The archive is gone.")

    monkeypatch.setattr(archives, "fetch", gone)
    assert fetch_zipped(tmp_path / "data", [], "").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["data"]


def fetch_in_threads(site, folder):
    archive, failed = zipped(), []
    url = site.put("data.zip", archive)

    def run():
        try:
            fetch_zipped(folder / "data", [url], md5(archive))
        except DataError as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (folder / "data").read_bytes() == CONTENT
    assert os.listdir(folder) == ["data"]
