import errno
import gzip
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from srnn.datasets import DataError, data_root
from srnn.datasets.files import content_md5, fetch

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        whole = gzip.compress(CONTENT) if "gz" in self.path else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if "interrupted" in self.path:
            whole = whole[: len(whole) // 2]
        if "wrong" in self.path:
            whole = whole[::-1]
        self.wfile.write(whole)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("address", ["file", "file.gz"])
def test_a_missing_file_is_downloaded_into_a_new_folder(server, address, tmp_path):
    path = tmp_path / "new" / "folder" / address
    assert fetch(path, [f"{server}/{address}"], MD5) == path
    assert content_md5(path) == MD5
    assert os.listdir(path.parent) == [address]


def test_a_file_that_is_there_needs_no_network(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert fetch(path, [], MD5) == path


def test_two_compressions_of_one_content_are_one_file(tmp_path):
    for level, time_stamp in ((1, 0), (9, 12345)):
        path = tmp_path / f"{level}.gz"
        path.write_bytes(gzip.compress(CONTENT, level, mtime=time_stamp))
        assert fetch(path, [], MD5) == path
    assert (tmp_path / "1.gz").read_bytes() != (tmp_path / "9.gz").read_bytes()


def test_a_wrong_file_that_is_there_is_named_and_left_alone(tmp_path, server, one_sentence):
    path = tmp_path / "file"
    path.write_bytes(b"somebody's notes")
    with pytest.raises(DataError, match="not the published file") as error:
        fetch(path, [f"{server}/file"], MD5)
    message = one_sentence(error)
    assert str(path) in message
    assert MD5 in message
    assert path.read_bytes() == b"somebody's notes"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("wrong", "md5"),
        ("interrupted", "md5"),
        ("interrupted.gz", "damaged or incomplete"),
        ("missing", "Not Found"),
    ],
)
def test_a_bad_download_leaves_nothing_behind(server, address, reason, tmp_path, one_sentence):
    path = tmp_path / "file"
    with pytest.raises(DataError, match=reason) as error:
        fetch(path, [f"{server}/{address}"], MD5)
    message = one_sentence(error)
    assert str(path) in message
    assert f"{server}/{address}" in message
    assert os.listdir(tmp_path) == []


def test_the_next_address_is_tried(server, tmp_path):
    addresses = [f"{server}/missing", f"{server}/wrong", f"{server}/file"]
    path = fetch(tmp_path / "file", addresses, MD5)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_without_a_network_the_message_says_what_to_do(tmp_path, one_sentence):
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/file"
    path = tmp_path / "mnist" / "file"
    with pytest.raises(DataError, match="by hand") as error:
        fetch(path, [url], MD5)
    message = one_sentence(error)
    for part in (str(path), url, "SRNN_DATA", "--data-dir"):
        assert part in message
    assert os.listdir(path.parent) == []


def test_a_full_disk_is_one_sentence(server, tmp_path, monkeypatch, one_sentence):
    open_file = Path.open

    class FullDisk:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *details):
            self.file.close()

        def write(self, chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_on_a_full_disk(path, mode="r"):
        file = open_file(path, mode)
        return FullDisk(file) if "x" in mode else file

    monkeypatch.setattr(Path, "open", open_on_a_full_disk)
    with pytest.raises(DataError, match="No space left on device") as error:
        fetch(tmp_path / "file", [f"{server}/file"], MD5)
    assert "--data-dir" in one_sentence(error)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(server, tmp_path, one_sentence):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="could not be written") as error:
        fetch(tmp_path / "mnist" / "file", [f"{server}/file"], MD5)
    one_sentence(error)


def test_many_processes_may_fetch_one_file(server, tmp_path):
    path = tmp_path / "file"
    threads = [
        threading.Thread(target=fetch, args=(path, [f"{server}/file"], MD5)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_data_root_prefers_the_explicit_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SRNN_DATA", "/elsewhere")
    assert data_root(tmp_path) == tmp_path
    assert data_root(str(tmp_path)) == tmp_path
    assert data_root() == Path("/elsewhere")


def test_data_root_falls_back_to_the_cache_folder(monkeypatch):
    monkeypatch.delenv("SRNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert data_root() == Path("/caches/srnn")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert data_root() == Path("/home/somebody/.cache/srnn")


def test_an_explicit_folder_must_exist(tmp_path, one_sentence):
    with pytest.raises(DataError, match="does not exist") as error:
        data_root(tmp_path / "typo")
    one_sentence(error)
