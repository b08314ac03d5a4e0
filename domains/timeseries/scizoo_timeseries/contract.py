"""What the contract suite (``python -m scizoo.testing timeseries``) needs to know of this domain."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scizoo.testing import BadFile, Examples

_HOURS = [f"2020-01-{day:02d} {hour:02d}:00" for day in range(1, 12) for hour in range(24)]


def _wave(length: int, period: int, draw: random.Random) -> list[float]:
    phase = draw.random() * 6
    return [
        round(10 + 4 * math.sin(2 * math.pi * place / period + phase) + draw.gauss(0, 0.3), 4)
        for place in range(length)
    ]


def _long(folder: Path) -> Sequence[str]:
    """Eight hourly series of a day's season."""
    draw = random.Random(0)
    lines = ["unique_id,ds,y"]
    for number in range(8):
        lines += [f"s{number},{stamp},{value}" for stamp, value in zip(_HOURS, _wave(len(_HOURS), 24, draw))]
    path = folder / "loads.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"data.path={path}", "data.horizon=8"]


def _m4(horizon: int, length: int, subset: str) -> Callable[[Path], Sequence[str]]:
    def write(folder: Path) -> Sequence[str]:
        draw = random.Random(1)
        waves = [_wave(length + horizon, 24, draw) for _ in range(6)]
        for part, cut in (("train", slice(None, length)), ("test", slice(length, None))):
            rows = [[f"H{number}", *map(str, wave[cut])] for number, wave in enumerate(waves)]
            header = ",".join(f'"V{place + 1}"' for place in range(len(rows[0])))
            lines = [header, *(",".join(f'"{cell}"' for cell in row) for row in rows)]
            (folder / f"{subset}-{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"data.path={folder}"]

    return write


def _ett(folder: Path) -> Sequence[str]:
    """Two series in the layout of ETT, much shorter."""
    draw = random.Random(2)
    one, two = _wave(len(_HOURS), 24, draw), _wave(len(_HOURS), 24, draw)
    lines = ["date,HUFL,OT", *(f"{stamp}:00,{a},{b}" for stamp, a, b in zip(_HOURS, one, two))]
    path = folder / "ETTh1.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [
        f"data.path={path}",
        "data.horizon=8",
        "data.stride=4",
        "data.min_history=32",
        "data.standardise=160",
        "data.rows=null",
        "split.borders=[160,48,48]",
    ]


def _cases(folder: Path, name: str = "tiny") -> Sequence[str]:
    """Series of two classes, slow waves and fast ones, in the layout of the UCR archive."""
    draw = random.Random(3)
    header = "@problemName tiny\n@timeStamps false\n@univariate true\n@classLabel true slow fast\n@data\n"
    for part in ("TRAIN", "TEST"):
        lines = []
        for number in range(30):
            label, period = ("slow", 32) if number % 2 else ("fast", 8)
            lines.append(",".join(map(str, _wave(64, period, draw))) + f":{label}")
        path = folder / f"{name}_{part}.ts"
        path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return [f"data.path={folder}"]


_TASK, _CLASSES = "timeseries/forecast", "timeseries/classification"
_HEAD = "unique_id,ds,y\n"


def _rows(name: str, stamps: Sequence[str], values: Sequence[object] | None = None) -> str:
    found = values if values is not None else [place % 7 for place in range(len(stamps))]
    return "".join(f"{name},{stamp},{value}\n" for stamp, value in zip(stamps, found))


def _bad(name: str, content: str, *says: str) -> BadFile:
    return BadFile(_TASK, name, content.encode(), says, ("data.horizon=8",))


_GOOD = _HEAD + _rows("good", _HOURS)

EXAMPLES = Examples(
    # Values on bins of every width, with a mean absolute value of 1: bins give them back exactly.
    inputs=tuple(
        np.array([1 + step / 8, 1 - step / 8] * count)
        for step, count in ((1, 3), (2, 10), (3, 40), (4, 1), (0, 5))
    ),
    own_data={
        _TASK: _long,
        "timeseries/etth1": _ett,
        "timeseries/m4-hourly": _m4(48, 240, "Hourly"),
        "timeseries/m4-weekly": _m4(13, 120, "Weekly"),
        _CLASSES: _cases,
        "timeseries/anomaly": lambda folder: _long(folder)[:1],
        "timeseries/imputation": lambda folder: _long(folder)[:1],
        "timeseries/reconstruct-tiny": lambda folder: _long(folder)[:1],
        "timeseries/ucr": lambda folder: _cases(folder, "GunPoint"),
    },
    bad_files=(
        BadFile(_TASK, "empty.csv", b"", ("is empty",)),
        BadFile(_TASK, "half.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", ("damaged", "copy or download")),
        _bad("header.csv", _HEAD, "no row"),
        _bad("columns.csv", "unique_id,ds,value\na,2020-01-01,1\n", "'y'", "data.target", "value"),
        _bad("backwards.csv", _GOOD + _rows("odd", ["soon", *_HOURS[1:40]]), "series 'odd'", "'soon'"),
        _bad("twice.csv", _GOOD + _rows("odd", [*_HOURS[:40], _HOURS[39]]), "'odd'", "two rows at"),
        _bad("one.csv", _GOOD + _rows("odd", _HOURS[:1]), "'odd'", "one observation"),
        _bad("short.csv", _GOOD + _rows("odd", _HOURS[:12]), "'odd'", "horizon of 8 is too long"),
        _bad("words.csv", _GOOD + _rows("odd", _HOURS[:40], ["n/k"] * 40), "'odd'", "'n/k'", "no number"),
        _bad("nothing.csv", _GOOD + _rows("odd", _HOURS[:40], [""] * 40), "'odd'", "no value"),
        _bad(
            "zones.csv",
            _GOOD.replace(":00,", ":00:00+01:00,")
            + _rows("odd", [f"{s}:00+01:00" for s in _HOURS[:20]])
            + _rows("odd", [f"{s}:00-05:00" for s in _HOURS[30:50]]),
            "'odd'",
            "mixes time zones",
            "data.tz",
        ),
        _bad(
            "changes.csv",
            _GOOD + _rows("odd", [*_HOURS[:48], *(f"2020-02-{day:02d} 00:00" for day in range(1, 20))]),
            "'odd'",
            "frequency changes",
        ),
        BadFile(_CLASSES, "nothing.ts", b"@problemName x\n@classLabel true a b\n", ("@data",)),
        BadFile(_CLASSES, "label.ts", b"@classLabel true a b\n@data\n1,2,3:a\n1,2,3:c\n", ("'c'", "line 4")),
    ),
    model=("tokenizer=timeseries/patch8", "backbone=continuous-causal-tiny", "tokenizer.length=64"),
    settings={
        "timeseries/forecast-tiny": ("data.synthetic=40", "data.mixed=0", "data.real=0", "data.length=256"),
        "timeseries/m4-weekly": ("data.season=24",),
    },
)
