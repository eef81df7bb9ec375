import gzip
import hashlib
import http.server
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from srnn.datasets import DataError, data_root, receive
from srnn.datasets.files import fetch

CONTENT = b"".join(i.to_bytes(4, "little") for i in range(128_000))  # no two parts are the same
MD5 = hashlib.md5(CONTENT).hexdigest()
PART = ".file.part"


def fetch_in_a_process(path, url, log):
    code = (
        "import logging, sys, pathlib; from srnn.datasets.files import fetch; "
        "path, url, md5 = sys.argv[1:]; logging.basicConfig(level='INFO'); "
        "fetch(pathlib.Path(path), [url], md5)"
    )
    return subprocess.Popen([sys.executable, "-c", code, path, url, MD5], stderr=log)


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_missing_file_is_downloaded_into_a_new_folder(site, tmp_path):
    for name, published in (("file", CONTENT), ("file.gz", gzip.compress(CONTENT))):
        path = tmp_path / "new" / "folder" / name
        assert fetch(path, [site.put(name, published)], MD5) == path
        assert path.read_bytes() == published
        path.unlink()
        assert os.listdir(path.parent) == []


def test_a_server_need_not_say_how_long_the_file_is(site, tmp_path):
    url = site.put("file", CONTENT, length=False)
    assert fetch(tmp_path / "file", [url], MD5).read_bytes() == CONTENT


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


def test_a_wrong_file_that_is_there_is_named_and_left_alone(tmp_path, site, one_sentence):
    path = tmp_path / "file"
    path.write_bytes(b"somebody's notes")
    with pytest.raises(DataError, match="not the published file") as error:
        fetch(path, [site.put("file", CONTENT)], MD5)
    message = one_sentence(error)
    assert str(path) in message
    assert MD5 in message
    assert path.read_bytes() == b"somebody's notes"
    assert site.asked == []


@pytest.mark.parametrize(
    ("name", "sent", "reason"),
    [
        ("wrong", CONTENT[::-1], "md5"),
        ("damaged.gz", gzip.compress(CONTENT, mtime=0)[:-9], "damaged"),
        ("empty", b"", "md5"),
        ("missing", None, "Not Found"),
    ],
)
def test_a_bad_download_leaves_nothing_behind(site, name, sent, reason, tmp_path, one_sentence):
    url = f"{site.url}/{name}" if sent is None else site.put(name, sent)
    path = tmp_path / "file"
    with pytest.raises(DataError, match=reason) as error:
        fetch(path, [url], MD5)
    message = one_sentence(error)
    assert str(path) in message
    assert url in message
    assert "goes on" not in message
    assert os.listdir(tmp_path) == []
    assert len(site.asked) == 1


def test_the_next_address_is_tried(site, tmp_path):
    addresses = [f"{site.url}/missing", site.put("wrong", b"?"), site.put("file", CONTENT)]
    path = fetch(tmp_path / "file", addresses, MD5)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_a_lost_connection_is_continued_by_the_next_call(site, tmp_path, one_sentence):
    url = site.put("file", CONTENT, cut=300_000)
    with pytest.raises(DataError, match=r"lost after 0\.3 of 0\.5 MB.*goes on from there") as error:
        fetch(tmp_path / "file", [url], MD5)
    one_sentence(error)
    assert os.listdir(tmp_path) == [PART]
    assert (tmp_path / PART).read_bytes() == CONTENT[:300_000]

    path = fetch(tmp_path / "file", [url], MD5)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]
    assert site.asked == [("/file", None), ("/file", "bytes=300000-")]


def test_a_server_that_falls_silent_is_a_lost_connection(site, tmp_path, monkeypatch):
    monkeypatch.setattr(receive, "_TIMEOUT", 0.2)
    gate = threading.Event()
    url = site.put("file", CONTENT, cut=300_000, gate=gate)
    with pytest.raises(DataError, match=r"lost after .* goes on from there"):
        fetch(tmp_path / "file", [url], MD5)
    gate.set()
    left = (tmp_path / PART).read_bytes()
    assert len(left) > 200_000
    assert left == CONTENT[: len(left)]


def test_the_next_address_continues_what_the_first_began(site, tmp_path):
    addresses = [site.put("first", CONTENT, cut=300_000), site.put("second", CONTENT)]
    assert fetch(tmp_path / "file", addresses, MD5).read_bytes() == CONTENT
    assert site.asked == [("/first", None), ("/second", "bytes=300000-")]


@pytest.mark.parametrize("left", [CONTENT[:1000], b"somebody's", CONTENT + CONTENT])
def test_a_server_without_ranges_begins_anew(site, left, tmp_path):
    (tmp_path / PART).write_bytes(left)
    url = site.put("file", CONTENT, ranges=False)
    assert fetch(tmp_path / "file", [url], MD5).read_bytes() == CONTENT
    assert site.asked == [("/file", f"bytes={len(left)}-")]


def test_a_whole_part_file_is_not_downloaded_again(site, tmp_path):
    """It was left by a process that ended before it could give the file its name."""
    (tmp_path / PART).write_bytes(CONTENT)
    assert fetch(tmp_path / "file", [site.put("file", CONTENT)], MD5).read_bytes() == CONTENT
    assert site.asked == [("/file", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize(
    ("left", "misplaced"),
    [(b"another", False), (CONTENT + b"and more", False), (CONTENT[:1000], True)],
)
def test_parts_that_do_not_fit_are_thrown_away_once(site, left, misplaced, tmp_path, one_sentence):
    (tmp_path / PART).write_bytes(left)
    url = site.put("file", CONTENT, misplaced=misplaced)
    assert fetch(tmp_path / "file", [url], MD5).read_bytes() == CONTENT
    twice = [("/file", f"bytes={len(left)}-"), ("/file", None)]
    assert site.asked == twice

    (tmp_path / "file").unlink()
    (tmp_path / PART).write_bytes(left)
    site.put("file", CONTENT[:-1] + b"?", misplaced=misplaced)
    with pytest.raises(DataError, match="md5") as error:
        fetch(tmp_path / "file", [url], MD5)
    one_sentence(error)
    assert site.asked == twice * 2
    assert os.listdir(tmp_path) == []


def test_a_killed_process_is_continued(site, tmp_path):
    gate = threading.Event()
    url = site.put("file", CONTENT, cut=300_000, gate=gate)
    part = tmp_path / PART
    process = fetch_in_a_process(tmp_path / "file", url, subprocess.DEVNULL)
    wait_until(lambda: part.exists() and part.stat().st_size >= 200_000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    gate.set()
    assert os.listdir(tmp_path) == [PART]

    size = part.stat().st_size
    assert size < len(CONTENT)
    assert fetch(tmp_path / "file", [url], MD5).read_bytes() == CONTENT
    assert site.asked == [("/file", None), ("/file", f"bytes={size}-")]
    assert os.listdir(tmp_path) == ["file"]


def test_of_two_processes_one_downloads_and_the_other_waits(site, tmp_path):
    gate = threading.Event()
    url = site.put("file", CONTENT, cut=300_000, gate=gate)
    path = tmp_path / "data" / "file"
    with (tmp_path / "log").open("ab") as log:
        processes = [fetch_in_a_process(path, url, log) for _ in range(2)]
    wait_until(lambda: b"waiting for another process" in (tmp_path / "log").read_bytes())
    gate.set()
    assert [process.wait() for process in processes] == [0, 0]
    assert site.asked == [("/file", None)]
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file"]


def test_who_waited_downloads_if_the_first_gave_up(site, tmp_path, caplog):
    """The part file that the second has open is deleted by the first."""
    caplog.set_level(logging.INFO)
    gate, path = threading.Event(), tmp_path / "file"
    wrong = site.put("wrong", CONTENT[::-1], cut=300_000, gate=gate)
    arguments = [(path, [url], MD5) for url in (wrong, site.put("file", CONTENT))]
    failed = []

    def give_up():
        try:
            fetch(*arguments[0])
        except DataError:
            failed.append(True)

    first = threading.Thread(target=give_up)
    first.start()
    wait_until(lambda: site.asked)
    second = threading.Thread(target=fetch, args=arguments[1])
    second.start()
    wait_until(lambda: "waiting for another process" in caplog.text)
    gate.set()
    first.join()
    second.join()
    assert failed
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_many_may_fetch_one_file(site, tmp_path):
    fetch_in_threads(site, tmp_path)
    assert len(site.asked) == 1


def test_many_may_fetch_one_file_without_locks(site, tmp_path, without_locks):
    fetch_in_threads(site, tmp_path)


def fetch_in_threads(site, folder):
    path, url = folder / "file", site.put("file", CONTENT)
    threads = [threading.Thread(target=fetch, args=(path, [url], MD5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert os.listdir(folder) == ["file"]


def test_without_locks_nothing_is_kept(site, tmp_path, without_locks):
    url = site.put("file", CONTENT, cut=300_000)
    with pytest.raises(DataError, match="lost") as error:
        fetch(tmp_path / "file", [url], MD5)
    assert "goes on" not in str(error.value)
    assert os.listdir(tmp_path) == []


def test_without_a_network_the_message_says_what_to_do(tmp_path, one_sentence):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/file"
    path = tmp_path / "mnist" / "file"
    with pytest.raises(DataError, match="by hand") as error:
        fetch(path, [url], MD5)
    message = one_sentence(error)
    for part in (str(path), url, "SRNN_DATA", "--data-dir"):
        assert part in message
    assert os.listdir(path.parent) == []


def test_a_full_disk_is_one_sentence(site, tmp_path, full_disk, one_sentence):
    (tmp_path / PART).write_bytes(CONTENT[:1000])
    with full_disk(), pytest.raises(DataError, match="could not be written") as error:
        fetch(tmp_path / "file", [site.put("file", CONTENT)], MD5)
    assert "--data-dir" in one_sentence(error)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(site, tmp_path, one_sentence):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="could not be written") as error:
        fetch(tmp_path / "mnist" / "file", [site.put("file", CONTENT)], MD5)
    one_sentence(error)


@pytest.mark.parametrize("folder", ["", "new"])
def test_a_read_only_folder_is_one_sentence(site, folder, open_folder, one_sentence, somebody_else):
    os.chmod(open_folder, 0o555)
    path = open_folder / folder / "file"
    url = site.put("file", CONTENT)
    with somebody_else(), pytest.raises(DataError, match="read-only") as error:
        fetch(path, [url], MD5)
    message = one_sentence(error)
    for part in (str(path), "by hand", url, "SRNN_DATA", "--data-dir"):
        assert part in message
    assert site.asked == []


def test_a_file_in_a_read_only_folder_is_used(open_folder, somebody_else):
    path = open_folder / "file"
    path.write_bytes(CONTENT)
    os.chmod(open_folder, 0o555)
    with somebody_else():
        assert fetch(path, [], MD5) == path


def test_a_folder_that_cannot_be_searched_is_one_sentence(
    site, open_folder, one_sentence, somebody_else
):
    path = open_folder / "closed" / "file"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(CONTENT)
    url = site.put("file", CONTENT)
    for look in (lambda: fetch(path, [url], MD5), lambda: data_root(path.parent / "data")):
        with somebody_else(), pytest.raises(DataError, match="cannot be looked for") as error:
            look()
        message = one_sentence(error)
        assert str(path.parent) in message
        assert "SRNN_DATA or --data-dir" in message
    assert site.asked == []


def test_the_part_file_of_another_user_is_left_alone(site, open_folder, somebody_else):
    part = open_folder / PART
    part.write_bytes(b"theirs")
    part.chmod(0o400)
    url = site.put("file", CONTENT)
    with somebody_else():
        assert fetch(open_folder / "file", [url], MD5).read_bytes() == CONTENT
    assert part.read_bytes() == b"theirs"
    assert site.asked == [("/file", None)]


def test_the_log_says_how_far_it_is(site, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(receive, "_BRIEF", 0.0)
    url = site.put("file", CONTENT, cut=300_000)
    with pytest.raises(DataError):
        fetch(tmp_path / "file", [url], MD5)
    assert caplog.messages == [
        f"downloading {url} (0.5 MB)",
        "file: 0.1 of 0.5 MB (13 %)",
        "file: 0.1 of 0.5 MB (26 %)",
        "file: 0.2 of 0.5 MB (38 %)",
        "file: 0.3 of 0.5 MB (51 %)",
    ]
    caplog.clear()
    monkeypatch.setattr(receive, "_BRIEF", 5.0)
    fetch(tmp_path / "file", [url], MD5)
    assert caplog.messages == [f"downloading {url} (0.5 MB) from 0.3 of 0.5 MB on"]


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
