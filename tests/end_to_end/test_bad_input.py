"""Each bad input gets one message that names it, status 2, and leaves nothing behind."""

from __future__ import annotations

import csv
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import COLUMNS, TINY, Ran, run_command, sequences, write_fasta, write_table

TASK = "genomics/classification"
PROTEIN = "MEEPQSDPSVEPPLSQETFSDLWKLLPEN"
FASTA = ("data.path=reads.fasta", "data.target=label")
ROWS = sequences()


def refused(ran: Ran, *said: str, status: int = 2) -> str:
    """Check that a command ended with one message that holds some words; return the message."""
    assert ran.status == status, ran.err
    starts = [line for line in ran.err.splitlines() if line.startswith("scizoo: ")]
    assert len(starts) == 1, ran.err
    assert "Traceback" not in ran.err
    message = ran.err[ran.err.index(starts[0]) :]
    assert len(message) < 800
    for words in said:
        assert words in message, message
    assert "Expected: " in message or "What to do: " in message, message
    assert not ran.out.strip()
    return message


def nothing_left(folder: Path, *given: str) -> None:
    """Check that a folder holds the files that were given and nothing else, not even empty folders."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(given)


def rejected_left(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the one rejected.csv; no checkpoint or other result stands beside it."""
    (path,) = folder.rglob("rejected.csv")
    assert {item.name for item in path.parent.iterdir()} == {
        *("command.txt", "config.yaml", "run.log", "rejected.csv")
    }
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def finetune(command: Callable[..., Ran]) -> Callable[..., Ran]:
    """Fine-tune a tiny model in this process: ``finetune("data.path=...")``."""
    return lambda *words: command("finetune", TASK, *words, *TINY, "versus=[]")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("reads.fasta", b"", "reads.fasta is empty"),
        ("reads.csv", b"", "reads.csv is empty"),
        ("reads.csv", b"sequence,label\n", "reads.csv holds no record"),
        ("reads.fasta", b"Dear colleague,\nmy data follow\n", "'Dear colleague,'"),
        ("reads.fasta", bytes(range(256)) * 8, "reads.fasta is a binary file"),
        ("reads.csv", bytes(range(256)) * 8, "reads.csv is a binary file"),
        ("reads.fasta", b"PK\x03\x04" + bytes(100), "reads.fasta is a zip archive"),
        ("reads.fasta.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3half", "reads.fasta.gz is damaged"),
        ("reads.parquet", b"PAR1 and then something else", "reads.parquet is a damaged Parquet table"),
        ("reads.fasta", b"##fileformat=VCFv4.2\n", "genomics/variant-effect"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_that_holds_no_sequences(
    finetune: Callable[..., Ran], inside: Path, name: str, content: bytes, said: str
) -> None:
    (inside / name).write_bytes(content)
    refused(finetune(f"data.path={name}"), said)
    nothing_left(inside, name)


@pytest.mark.parametrize("name", ["reads.fasta", "reads.csv"])
def test_protein_instead_of_dna(finetune: Callable[..., Ran], inside: Path, name: str) -> None:
    rows = [(PROTEIN, "ab"[number % 2]) for number in range(10)]
    (write_fasta if name.endswith("fasta") else write_table)(inside / name, rows)
    words = (f"data.path={name}", "data.target=label")
    message = refused(
        finetune(*words, *(["data.input=seq"] if name.endswith("csv") else [])), f"{name} holds proteins"
    )
    assert ("'r0'" in message) or ("'reads.csv:1'" in message)
    assert len(rejected_left(inside)) == 10


def test_too_many_unreadable_records(finetune: Callable[..., Ran], inside: Path) -> None:
    write_fasta(inside / "reads.fasta", [*ROWS, ("ACGT?!ACGT", "rich")])
    message = refused(finetune(*FASTA), "1 of 61 records", "record 'r60'", "record 61", "'!', '?'")
    assert "rejected.csv" in message
    assert "data.max_rejected" in message
    (row,) = rejected_left(inside)
    assert (row["id"], row["source"]) == ("r60", "reads.fasta, record 61")


def test_a_record_longer_than_the_context(finetune: Callable[..., Ran], inside: Path) -> None:
    write_fasta(inside / "reads.fasta", [*ROWS, ("ACGT" * 40, "rich")])
    ran = finetune(*FASTA, "context.long_records=refuse")
    refused(ran, "record 'r0' (reads.fasta, record 1) has 78 tokens", "60 others", "long_records=window")
    nothing_left(inside, "reads.fasta")


@pytest.mark.parametrize("name", ["reads.fasta", "reads.csv"])
def test_duplicate_ids(finetune: Callable[..., Ran], inside: Path, name: str) -> None:
    if name.endswith("fasta"):
        write_fasta(inside / name, ROWS)
        with (inside / name).open("a") as stream:
            stream.write(">r3 label=rich\nACGTTGCATGCATGCAGCGATCG\n")
        refused(finetune(*FASTA), "'r3'", "record 4 and reads.fasta, record 61")
    else:
        rows = [(sequence, label, f"s{number % 59}") for number, (sequence, label) in enumerate(ROWS)]
        write_table(inside / name, rows, "seq,label,name")
        words = ("data.path=reads.csv", "data.input=seq", "data.target=label", "data.id=name")
        refused(finetune(*words), "'s0'", "row 1 and reads.csv, row 60")
    nothing_left(inside, name)


def test_a_label_is_missing_in_a_table(finetune: Callable[..., Ran], inside: Path) -> None:
    write_table(inside / "tiny.csv", [*ROWS[:5], (ROWS[5][0], ""), *ROWS[6:]])
    refused(finetune(*COLUMNS), "(tiny.csv, row 6) has no label", "fill it in")
    nothing_left(inside, "tiny.csv")


def test_a_label_is_missing_in_a_header(finetune: Callable[..., Ran], inside: Path) -> None:
    write_fasta(inside / "reads.fasta", ROWS)
    with (inside / "reads.fasta").open("a") as stream:
        stream.write(">bare\nACGTTGCATGCATGCAGCGATCG\n")
    refused(finetune(*FASTA), "record 'bare'", "has no 'label'")
    assert [row["id"] for row in rejected_left(inside)] == ["bare"]


def test_one_class_only(finetune: Callable[..., Ran], inside: Path) -> None:
    write_table(inside / "tiny.csv", [(sequence, "same") for sequence, _ in ROWS])
    refused(finetune(*COLUMNS), "tiny.csv: ", "same label, 'same'", "at least two classes")
    nothing_left(inside, "tiny.csv")


def test_a_class_absent_from_training(finetune: Callable[..., Ran], inside: Path) -> None:
    rows = [
        (
            sequence,
            label if number < 55 else "new",
            "train" if number < 40 else "test" if number % 2 else "dev",
        )
        for number, (sequence, label) in enumerate(ROWS)
    ]
    write_table(inside / "tiny.csv", rows, "seq,label,part")
    refused(finetune(*COLUMNS, "data.split=part"), "'new'", "5 other records", "row 56", "poor, rich")
    nothing_left(inside, "tiny.csv")


def test_contradictory_labels(finetune: Callable[..., Ran], inside: Path) -> None:
    write_table(inside / "tiny.csv", [*ROWS, (ROWS[0][0], "poor")])
    refused(finetune(*COLUMNS), "row 1", "row 61", "'rich' and 'poor'")
    nothing_left(inside, "tiny.csv")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("data.input=sequense", "no column 'sequense'"),
        ("data.target=labell", "did you mean 'label'?"),
        ("data.group=famly", "no column 'famly'"),
        ("data.split=parts", "no column 'parts'"),
        ("data.id=name", "no column 'name'"),
    ],
)
def test_a_column_is_not_found(finetune: Callable[..., Ran], inside: Path, wrong: str, said: str) -> None:
    write_table(inside / "tiny.csv", ROWS)
    message = refused(finetune(*COLUMNS, wrong), "tiny.csv", said, wrong.partition("=")[0])
    assert "seq, label" in message  # what there is
    nothing_left(inside, "tiny.csv")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("tiny.cvs", "did you mean 'tiny.csv'?"),
        ("no/such/tiny.csv", "no/such"),
        ("*.fastq", "*.fastq"),
    ],
)
def test_a_path_is_not_found(finetune: Callable[..., Ran], inside: Path, wrong: str, said: str) -> None:
    write_table(inside / "tiny.csv", ROWS)
    refused(finetune(*COLUMNS, f"data.path={wrong}"), wrong, said)
    nothing_left(inside, "tiny.csv")


@pytest.mark.parametrize("words", [(), ("data.target=label",)])
def test_no_path_at_all(finetune: Callable[..., Ran], inside: Path, words: tuple[str, ...]) -> None:
    refused(finetune(*words), "data.path is not given", "data.path=FILE")
    nothing_left(inside)


@contextmanager
def without_root() -> Iterator[None]:
    """Lay down root's right to read everything for a while, so that permissions mean something."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    saved = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, saved) == 0
    fewer = (ctypes.c_uint32 * 6)(*saved)
    fewer[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, saved) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="permissions are laid down the Linux way")
@pytest.mark.parametrize("name", ["reads.fasta", "reads.csv"])
def test_an_unreadable_file(finetune: Callable[..., Ran], inside: Path, name: str) -> None:
    write_fasta(inside / name, ROWS)
    (inside / name).chmod(0)
    with without_root():
        ran = finetune(f"data.path={name}", "data.target=label")
    refused(ran, f"{name} cannot be read", "denied")
    nothing_left(inside, name)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="permissions are laid down the Linux way")
def test_a_folder_that_may_not_be_written(finetune: Callable[..., Ran], inside: Path) -> None:
    write_table(inside / "tiny.csv", ROWS)
    inside.chmod(0o555)
    try:
        with without_root():
            ran = finetune(*COLUMNS)
    finally:
        inside.chmod(0o755)
    refused(ran, "runs/finetune", "run_dir=FOLDER")
    nothing_left(inside, "tiny.csv")


@pytest.mark.slow
def test_the_same_in_a_process_of_its_own(inside: Path) -> None:
    write_table(inside / "tiny.csv", [*ROWS, (ROWS[0][0], "poor")])
    ran = run_command("finetune", TASK, *COLUMNS, *TINY, folder=inside, status=2)
    refused(ran, "row 1", "row 61", "'rich' and 'poor'")
    nothing_left(inside, "tiny.csv")


@pytest.mark.parametrize("verb", ["predict", "embed", "evaluate"])
def test_the_other_verbs_refuse_alike(
    command: Callable[..., Ran], inside: Path, finetuned: tuple[Path, Ran], verb: str
) -> None:
    folder, ran = finetuned
    checkpoint = f"checkpoint={folder / ran.folder / 'checkpoint'}"
    (inside / "reads.fasta").write_bytes(b"")
    refused(command(verb, TASK, checkpoint, "data.path=reads.fasta"), "reads.fasta is empty")
    refused(command(verb, TASK, "checkpoint=no/such", "data.path=reads.fasta"), "no/such")
    nothing_left(inside, "reads.fasta")
