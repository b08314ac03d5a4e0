"""Opening files: packed ones by content, and one message for each mishap."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from scizoo.data.opening import check_text, head, lines, open_bytes
from scizoo.errors import DataError

TEXT = b"a,b\r\n1,2\r\n"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_told_by_its_content(tmp_path: Path, pack) -> None:
    path = tmp_path / "table.csv"  # the name says nothing of the packing
    path.write_bytes(pack(TEXT))
    assert open_bytes(path).read() == TEXT
    assert list(lines(path, "a table")) == [(1, "a,b"), (2, "1,2")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_damaged_packing_is_one_message(tmp_path: Path, pack, damage: str) -> None:
    packed = bytearray(pack(bytes(range(65, 91)) * 5000))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    else:
        packed[len(packed) // 2] ^= 0xFF
        packed[-6] ^= 0xFF
    path = tmp_path / "table.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"(?s)table\.gz is damaged.*copy or download"):
        list(lines(path, "a table"))


def test_old_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mac.txt"
    path.write_bytes(b"\xef\xbb\xbfone\rtwo\rthree")
    assert list(lines(path, "text")) == [(1, "one"), (2, "two"), (3, "three")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x80\x04\x95rest", "pickle, which is never opened"),
        (b"abc\0def", "is a binary file"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"input\.txt.*{message}"):
        list(lines(path, "text"))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "reads.fa").write_text(">a\nACGT\n")
    with pytest.raises(DataError, match=r"(?s)raeds\.fa does not exist.*reads\.fa"):
        head(tmp_path / "raeds.fa", "FASTA")
    with pytest.raises(DataError, match="is a folder"):
        head(tmp_path, "FASTA")
    with pytest.raises(DataError, match="binary"):
        check_text(tmp_path / "x", b"\x01\x02\x03\x04", "FASTA")
