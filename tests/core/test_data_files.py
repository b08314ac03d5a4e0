"""Sources, tables, rejected records and saved tokenizers."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from scizoo.data.ragged import Ragged
from scizoo.data.records import Rejected, RejectionLog, check_unique_ids, write_rejected
from scizoo.data.sources import _extract, fingerprint_files, resolve, resolve_files
from scizoo.data.table import TableReader, TableRecords, read_table
from scizoo.data.tokenizer import Tokenizer, load_tokenizer, save_tokenizer
from scizoo.errors import CheckpointError, DataError, MachineError


def test_a_path_that_is_missing_suggests_its_neighbours(tmp_path):
    (tmp_path / "reads.csv").write_text("a\n1\n")
    assert resolve(tmp_path / "reads.csv") == tmp_path / "reads.csv"
    with pytest.raises(DataError, match=r"(?s)raeds.csv does not exist.*did you mean '.*reads.csv'"):
        resolve(tmp_path / "raeds.csv")
    with pytest.raises(DataError, match=r"the folder .* does not exist either"):
        resolve(tmp_path / "no" / "reads.csv")
    assert resolve(f"file://{tmp_path}/reads.csv") == tmp_path / "reads.csv"


def test_folders_and_globs_stand_for_their_files(tmp_path):
    for name in ("b.csv", "a.csv", "notes.txt", ".hidden.csv"):
        (tmp_path / name).write_text("x\n")
    assert [p.name for p in resolve_files(tmp_path, suffixes=(".csv",))] == ["a.csv", "b.csv"]
    assert [p.name for p in resolve_files(str(tmp_path / "*.csv"))] == ["a.csv", "b.csv"]
    assert resolve(str(tmp_path / "n*.txt")) == tmp_path / "notes.txt"
    with pytest.raises(DataError, match="matches 2 files"):
        resolve(str(tmp_path / "?.csv"))
    with pytest.raises(DataError, match="no file matches"):
        resolve_files(str(tmp_path / "*.fits"))
    with pytest.raises(DataError, match="holds no file"):
        resolve_files(tmp_path, suffixes=(".fits",))


def test_a_digest_is_checked(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    good = hashlib.sha256(b"hello").hexdigest()
    assert resolve(f"{tmp_path}/a.txt#sha256={good}") == tmp_path / "a.txt"
    with pytest.raises(DataError, match=good):
        resolve(f"{tmp_path}/a.txt#sha256={'0' * 64}")


def test_urls_are_fetched_once_and_checked(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/data/a.csv", b"x\n1\n")
    digest = hashlib.sha256(b"x\n1\n").hexdigest()
    path = resolve(f"memory://data/a.csv#sha256={digest}", tmp_path)
    assert path.name == "a.csv" and path.read_bytes() == b"x\n1\n"
    memory.pipe("/data/a.csv", b"changed")
    assert resolve("memory://data/a.csv", tmp_path).read_bytes() == b"x\n1\n"
    with pytest.raises(DataError, match="has the SHA-256"):
        resolve(f"memory://data/a.csv#sha256={'0' * 64}", tmp_path)
    assert path.read_bytes() == b"x\n1\n"  # a failed fetch does not replace what was good
    with pytest.raises(DataError, match="does not exist"):
        resolve("memory://data/none.csv", tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".tmp")]
    with pytest.raises(DataError, match=r"did you mean '.*s3"):
        resolve("s33://bucket/a.csv", tmp_path)


def test_https_faults_tell_the_user_from_the_network(tmp_path, monkeypatch):
    with pytest.raises(MachineError, match="cannot be reached"):
        resolve("http://127.0.0.1:9/a.csv", tmp_path)


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "tiny_data_pkg"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('was imported')")
    (folder / "data" / "table.csv").write_text("x\n1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    return folder


def test_a_file_of_a_package_is_found_without_importing_it(package):
    assert resolve("package:tiny_data_pkg!data/table.csv") == package / "data" / "table.csv"
    assert "tiny_data_pkg" not in sys.modules
    with pytest.raises(
        DataError, match=r"(?s)'data/tabel.csv' is not in tiny_data_pkg.*near: data/table.csv"
    ):
        resolve("package:tiny_data_pkg!data/tabel.csv")
    with pytest.raises(DataError, match="not installed"):
        resolve("package:no_such_pkg_here!a.csv")
    with pytest.raises(DataError, match="names no file inside"):
        resolve("package:tiny_data_pkg!../secret")


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tinydata-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinydata/__init__.py", "")
        wheel.writestr("tinydata/data/table.csv", "x\n1\n")
        wheel.writestr(
            "tinydata-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tinydata-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tinydata-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
def test_a_member_of_a_distribution_is_fetched_by_pip(tmp_path, wheels, monkeypatch):
    digest = hashlib.sha256(b"x\n1\n").hexdigest()
    source = "pypi:tinydata==1.0!tinydata/data/table.csv"
    path = resolve(f"{source}#sha256={digest}", tmp_path / "cache")
    assert path.read_text() == "x\n1\n"
    assert path.is_relative_to(tmp_path / "cache")
    with pytest.raises(
        DataError, match=r"(?s)'tinydata/table.csv' is not in .*near: tinydata/data/table.csv"
    ):
        resolve("pypi:tinydata==1.0!tinydata/table.csv", tmp_path / "cache")
    with pytest.raises(DataError, match="has the SHA-256"):
        resolve(f"{source}#sha256={'0' * 64}", tmp_path / "other")
    assert not list((tmp_path / "other").rglob("table.csv"))
    with pytest.raises(MachineError, match=r"pip could not fetch tinydata==2.0"):
        resolve("pypi:tinydata==2.0!a.csv", tmp_path / "cache")
    (wheels / "tinydata-1.0-py3-none-any.whl").unlink()
    assert resolve(f"{source}#sha256={digest}", tmp_path / "cache") == path  # no pip, no network


def test_source_archives_may_leave_out_their_first_folder(tmp_path):
    (tmp_path / "table.csv").write_text("x\n")
    archive = tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "table.csv", "tiny-1.0/data/table.csv")
    for member in ("tiny-1.0/data/table.csv", "data/table.csv"):
        with (tmp_path / "out").open("wb") as stream:
            _extract(archive, member, stream)
        assert (tmp_path / "out").read_text() == "x\n"


@pytest.mark.parametrize("bad", ["pypi:name!a", "pypi:name==1.0", "package:x"])
def test_a_source_that_is_misspelt_shows_its_form(bad, tmp_path):
    with pytest.raises(DataError, match="is not understood"):
        resolve(bad, tmp_path)


ROWS = "id,seq,y,who\na,ACGT,1.5,p1\nb,GG,,p2\nc,NA,2,p1\n"


def write_table(folder, name, rows=ROWS):
    path = folder / name
    if name.endswith(".parquet"):
        lines = list(csv.reader(rows.splitlines()))
        columns = list(zip(*[[cell or None for cell in line] for line in lines[1:]]))
        pyarrow.parquet.write_table(pa.table(dict(zip(lines[0], map(list, columns)))), path)
        return path
    text = rows.replace(",", "\t") if ".tsv" in name else rows.replace(",", ";") if "semi" in name else rows
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode("utf-8-sig"))
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "semi.csv", "t.csv.gz", "t.tsv.gz", "t.parquet"])
def test_tables_of_each_kind_give_the_same_rows(tmp_path, name):
    rows = list(read_table(write_table(tmp_path, name)))
    assert rows[0] == (1, {"id": "a", "seq": "ACGT", "y": "1.5", "who": "p1"})
    assert rows[1][1]["y"] is None and rows[2][1]["seq"] is None
    assert list(read_table(tmp_path / name, ["y"]))[2] == (3, {"y": "2"})


def test_a_column_that_is_missing_suggests_the_nearest(tmp_path):
    path = write_table(tmp_path, "t.csv")
    with pytest.raises(DataError, match=r"no column 'sqe' \(data.input\): did you mean 'seq'"):
        list(TableRecords(path, input="sqe"))


def test_rows_become_records(tmp_path):
    class Upper(TableRecords):
        def parse(self, value, row):
            if "N" in value:
                raise ValueError("holds an N")
            return value.lower()

    write_table(
        tmp_path,
        "a.csv",
        "name,seq,y,who,part,depth\nx,AC,1,p1,train,7\nz,ANC,1,p2,test,8\n,GG,1,p2,test,8\nw,,1,p2,test,9\n",
    )
    data = Upper(tmp_path, input="seq", target="y", group="who", split="part", id="name", max_rejected=0.9)
    records = list(data)
    assert [(r.id, r.input, r.target, r.group, r.meta, r.source) for r in records] == [
        ("x", "ac", "1", "p1", {"depth": "7", "split": "train"}, "a.csv, row 1")
    ]
    assert [(r.source, r.id, r.reason) for r in data.rejections.rejected] == [
        ("a.csv, row 2", "z", "holds an N"),
        ("a.csv, row 3", "", "column 'name' is empty"),
        ("a.csv, row 4", "w", "column 'seq' is empty"),
    ]
    with pytest.raises(DataError, match="3 of 4 records cannot be used"):
        list(Upper(tmp_path, input="seq", id="name"))
    several = next(iter(TableRecords(tmp_path, input="seq", target=["y", "depth"], max_rejected=0.9)))
    assert several.target == {"y": "1", "depth": "7"} and several.id == "a.csv:1"


def test_a_row_with_too_many_cells_is_rejected_not_shifted(tmp_path):
    path = write_table(tmp_path, "t.csv", "a,b\n1,2\n3,4,5\n6\n\n7,8\n")
    data = TableRecords(path, input="a", max_rejected=0.9)
    assert [r.input for r in data] == ["1", "7"]
    assert data.rejections.rejected[0].reason == "has 3 cells, the header has 2"
    assert [r.source for r in data.rejections.rejected] == ["t.csv, row 2", "t.csv, row 3"]
    with pytest.raises(DataError, match="row 2 has 3 cells"):
        list(TableReader(path).rows())


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.csv", b"", "is empty"),
        ("binary.csv", b"\x7fELF\0\0\0", "binary"),
        ("latin.csv", b"a,b\n\xe9t\xe9,1\n", "UTF-8"),
        ("fake.parquet", b"a,b\n1,2\n", "not a Parquet"),
        ("real.csv", b"PAR1xxxx", "a Parquet table"),
        ("cut.parquet", b"PAR1xxxx", "damaged Parquet"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" * 999, mtime=0)[:-9], "damaged gzip"),
        ("gzipped.csv", gzip.compress(b"\0\1\2\0", mtime=0), "binary"),
        ("twice.csv", b"a,a\n1,2\n", "two columns 'a'"),
        ("header.csv", b"a,b\n", "no record"),
    ],
)
def test_files_that_are_no_tables_are_refused_by_name(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=word) as caught:
        list(TableRecords(tmp_path / name, input="a"))
    assert name in str(caught.value)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything; for a while it is nobody."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_a_file_without_permission_is_refused():
    with tempfile.TemporaryDirectory() as folder:  # not in pytest's own, which only its owner may enter
        Path(folder).chmod(0o755)
        path = write_table(Path(folder), "t.csv")
        TableReader(path)  # nothing has to be imported later on, from where nobody may look
        path.chmod(0)
        with ordinary_user(), pytest.raises(DataError, match=r"t.csv cannot be read: Permission denied"):
            TableReader(path)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        TableReader(tmp_path)


def test_fingerprints_follow_content_and_columns(tmp_path):
    path = write_table(tmp_path, "t.csv")
    first = TableRecords(path, input="seq").fingerprint()
    assert TableRecords(path, input="seq").fingerprint() == first
    assert TableRecords(path, input="seq", target="y").fingerprint() != first
    path.write_text(ROWS + "d,A,1,p\n")
    assert TableRecords(path, input="seq").fingerprint() != first
    with pytest.raises(DataError, match="cannot be read"):
        fingerprint_files([tmp_path / "none"])


def test_a_cell_may_be_long(tmp_path):
    path = write_table(tmp_path, "t.csv", "seq\n" + "A" * 1_000_000 + "\n")
    assert len(next(iter(TableRecords(path, input="seq"))).input) == 1_000_000


def test_rejected_records_are_written_with_their_reasons(tmp_path):
    log = RejectionLog()
    assert write_rejected(tmp_path / "rejected.csv", log) == 0
    assert not (tmp_path / "rejected.csv").exists()
    log.reject("f, row 2", "x", 'has "quotes", and a comma')
    assert write_rejected(tmp_path / "rejected.csv", log) == 1
    with (tmp_path / "rejected.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["source", "id", "reason"],
            ["f, row 2", "x", 'has "quotes", and a comma'],
        ]
    assert write_rejected(tmp_path / "more.csv", [Rejected("a", "b", "c")]) == 1


def test_ids_must_be_unique(tmp_path):
    data = TableRecords(write_table(tmp_path, "t.csv", "id,x\na,1\nb,2\na,3\n"), input="x", id="id")
    with pytest.raises(DataError, match=r"id 'a' \(t.csv, row 1 and t.csv, row 3\)"):
        check_unique_ids(data)


def test_a_tokenizer_is_saved_and_loaded(tmp_path, monkeypatch):
    module = tmp_path / "scizoo_saved_tokenizer.py"
    module.write_text(TOKENIZER)
    # Only an installed plugin's classes are allowed, so this is one.
    (tmp_path / "saved_tokenizer-1.0.dist-info").mkdir()
    (tmp_path / "saved_tokenizer-1.0.dist-info" / "METADATA").write_text(
        "Name: saved-tokenizer\nVersion: 1.0\n"
    )
    points = "[scizoo.domains]\nsaved = scizoo_saved_tokenizer:DOMAIN\n"
    (tmp_path / "saved_tokenizer-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    kind = importlib.import_module("scizoo_saved_tokenizer").Counting
    save_tokenizer(kind(step=3), tmp_path / "saved")
    loaded = load_tokenizer(tmp_path / "saved")
    assert type(loaded) is kind and loaded.step == 3 and loaded.extra == "words"
    settings = tmp_path / "saved" / "tokenizer_settings.json"
    good = settings.read_text()
    settings.write_text(good.replace('"step"', '"stride"'))
    with pytest.raises(CheckpointError, match="cannot be built from these settings"):
        load_tokenizer(tmp_path / "saved")
    settings.write_text(good)
    settings.write_text(settings.read_text().replace("Counting", "NotOne"))
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        load_tokenizer(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="does not describe a tokenizer"):
        load_tokenizer(tmp_path)
    assert issubclass(kind, Tokenizer) and Ragged


TOKENIZER = """
from scizoo.data.tokenizer import Tokenizer
from scizoo.data.ragged import Ragged

class NotOne:
    pass

class Counting(Tokenizer):
    def __init__(self, step):
        self.step, self.extra = step, None

    def encode(self, inputs):
        return {}

    def settings(self):
        return {"step": self.step}

    def save_files(self, folder):
        (folder / "extra.txt").write_text("words")

    @classmethod
    def from_settings(cls, settings, folder):
        made = cls(**settings)
        made.extra = (folder / "extra.txt").read_text()
        return made

    def fingerprint(self):
        return "counting"
"""
