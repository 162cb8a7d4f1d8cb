"""`kbroker dump-log` on files, as it is called."""

import json
import os
import subprocess
import sys
from pathlib import Path

from kbroker.__main__ import main
from log.checkpoints import encode_offsets
from wire.records.batch import build_batch
from wire.records.record import Record

NAME = "00000000000000000000.log"
BATCH = bytes(build_batch([Record(0, 1_700_000_000_000, b"k", b"v")], leader_epoch=0))


def test_a_directory_stands_for_its_files(tmp_path: Path, capsys):
    (tmp_path / NAME).write_bytes(BATCH)
    (tmp_path / "log-start-offset-checkpoint").write_bytes(encode_offsets({("t", 0): 3}))
    (tmp_path / "something else").write_bytes(b"x")
    assert main(["dump-log", "--records", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/{NAME}\n"
        f"  at 0: offsets 0 to 0, 1 record, {len(BATCH)} bytes, newest 2023-11-14T22:13:20.000Z,"
        " codec none, leader epoch 0\n"
        "    0 2023-11-14T22:13:20.000Z key=k value=v\n"
        f"{tmp_path}/log-start-offset-checkpoint\n"
        "  t:0 3\n"
    )


def test_json_is_one_object_per_line(tmp_path: Path, capsys):
    (tmp_path / NAME).write_bytes(BATCH)
    assert main(["dump-log", "--json", "--records", str(tmp_path / NAME)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["batch", "record"]
    assert {line["file"] for line in lines} == {str(tmp_path / NAME)}


def test_damage_is_one_line_and_status_1_and_the_rest_is_shown(tmp_path: Path, capsys):
    bad, good = tmp_path / NAME, tmp_path / "00000000000000000001.log"
    bad.write_bytes(BATCH + BATCH[:65])
    good.write_bytes(BATCH)
    others = [str(tmp_path / "no.log"), str(tmp_path / "orders-7"), "/etc/passwd"]
    assert main(["dump-log", str(bad), str(good), *others]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("at 0: offsets 0 to 0") == 2
    assert shown.err.splitlines() == [
        f"kbroker: {bad}: at byte {len(BATCH)}: a batch of {len(BATCH)} bytes is cut after 65",
        f"kbroker: cannot read {tmp_path}/no.log: No such file or directory",
        f"kbroker: cannot read {tmp_path}/orders-7: No such file or directory",
        "kbroker: /etc/passwd: not a file of a data directory, by its name",
    ]


def test_a_reader_that_goes_away_is_no_failure_to_speak_of(tmp_path: Path):
    (tmp_path / NAME).write_bytes(
        b"".join(
            build_batch([Record(0, 0, None, b"v")], base_offset=number) for number in range(20_000)
        )
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "kbroker", "dump-log", str(tmp_path / NAME)],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_no_file_is_a_wrong_request(capsys):
    assert main(["dump-log"]) == 2
    assert "Missing argument 'FILE...'" in capsys.readouterr().err
