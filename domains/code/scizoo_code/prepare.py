"""Prepare a corpus once and write it down: ``python -m scizoo_code.prepare FOLDER --out PREPARED``."""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from scizoo.data.records import write_rejected
from scizoo.errors import ScizooError
from scizoo.files import atomic_path
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.datasets.stdlib import StandardLibrary
from scizoo_code.preparation.pipeline import Preparation


def write_corpus(data: SourceFiles, folder: Path) -> int:
    """Write the records of a dataset as JSON lines, and what was rejected; returns how many.

    Parameters
    ----------
    data : SourceFiles
    folder : Path
        ``corpus.jsonl.gz`` and ``rejected.csv`` are written into it.
    """
    count = 0
    with (
        atomic_path(folder / "corpus.jsonl.gz") as path,
        # The same bytes each time: no name and no date in the header.
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as stream,
    ):
        for record in data:
            row = {"id": record.id, "content": record.input, **record.meta}
            stream.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
            count += 1
    write_rejected(folder / "rejected.csv", data.rejections)
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scizoo_code.prepare", description=__doc__)
    parser.add_argument(
        "path", help="folder, git checkout, JSON lines or table; stdlib: the standard library"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder for the corpus and its data card")
    parser.add_argument("--languages", nargs="+", help="read only these")
    parser.add_argument(
        "--licences", nargs="+", default=["permissive"], help="permissive, all, or SPDX names"
    )
    parser.add_argument("--opt-out", help="file of repositories that shall not be used, a name a line")
    parser.add_argument(
        "--near", type=float, default=0.7, help="Jaccard similarity of near copies; 0 keeps them"
    )
    parser.add_argument("--benchmarks", nargs="+", default=[], help="files of which no text may hold a piece")
    parser.add_argument("--keep-private", action="store_true", help="do not redact e-mail addresses and keys")
    parser.add_argument(
        "--max-rejected", type=float, default=0.01, help="share of files that may be unreadable"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    named = {"permissive": "permissive", "all": None}
    try:
        prepare = Preparation(
            licences=named.get(given.licences[0], given.licences),
            opt_out=given.opt_out,
            near=given.near or None,
            benchmarks=given.benchmarks,
            redact=not given.keep_private,
            card=given.out,
        )
        options = {"prepare": prepare, "max_rejected": given.max_rejected}
        if given.languages:
            options["languages"] = given.languages
        data = StandardLibrary(**options) if given.path == "stdlib" else SourceFiles(given.path, **options)
        count = write_corpus(data, given.out)
    except ScizooError as error:
        print(f"scizoo: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{count:,} files in {given.out / 'corpus.jsonl.gz'}; see {given.out / 'data_card.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
