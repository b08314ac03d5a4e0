"""Generation on a small field of its own: fine-tuning, the report, the verb, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import scizoo
from scizoo import cli
from scizoo.checkpoints.format import verify
from scizoo.evaluation.report.render import schema
from scizoo.jobs import generation_files

SYLLABLES = ("ka", "ti", "mo", "ru")

TASK = """# @package _global_
task: {name: toy/speech, summary: Words of a small language, domain: toy, kind: generation, metric: validity}
data:
  _target_: scizoo.data.table.TableRecords
  path: null
  input: text
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.6, 0.2, 0.2], seed: 0}
tokenizer: {_target_: scizoo.data.bytes_tokenizer.ByteTokenizer}
backbone:
  _target_: scizoo.models.transformers_backbone.TransformersBackbone.from_config
  model_type: llama
  config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
context: {max_length: 24}
scorer: {_target_: scizoo_toy.speech.SpeechScorer}
samples: {count: 60, batch_size: 16}
baselines:
  ngram: {_target_: scizoo.evaluation.generators.NGramGenerator, orders: [1, 2, 3]}
optimizer: {lr: 0.02}
trainer: {max_epochs: 16, accelerator: cpu}
batching: {batch_size: 8}
precision: "32"
evaluation: {resamples: 100, shown: 3}
"""

NEW = ("backbone", "tokenizer", "  model_type", "  config", "  _target_: scizoo.models.transformers_backbone")
#: The same task for a checkpoint, which brings its own backbone and tokenizer.
TUNED = "".join(
    line
    for line in TASK.replace("toy/speech", "toy/tuned").splitlines(keepends=True)
    if not line.startswith(NEW)
)

SPEECH = '''
import numpy as np

from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.generators import NGramGenerator
from scizoo.evaluation.sample_figures import SampleFigure


class Answers(NGramGenerator):
    """A baseline that needs a beginning."""

    def check(self, starts, tokenizer):
        if min(len(start) for start in starts) < 2:
            raise ConfigError("answers need a question.")


class SpeechScorer(Scorer):
    """Words of four syllables."""

    def key(self, value):
        pairs = [value[i : i + 2] for i in range(0, len(value), 2)]
        return value if pairs and set(pairs) <= {"ka", "ti", "mo", "ru"} else None

    def figures(self, generated, keys):
        length = np.array([np.nan if key is None else len(key) / 2 for key in keys])
        return {"syllables": SampleFigure("syllables", "higher", length)}


class SpeechCompleter(SpeechScorer):
    """Words whose first syllables are given, and whose number of syllables is to be reached."""

    def prompt(self, value):
        return value[: 2 * (len(value) // 4)]

    def answer(self, value):
        return value[len(self.prompt(value)) :]

    def score(self, generated):
        wanted = [self.answer(one) for one in generated.references]
        right = np.array([float(one == two) for one, two in zip(wanted, generated.answers)])
        names = np.array(generated.references)
        return super().score(generated) | {
            "right": SampleFigure("right", "higher", right, bounds=(0, 1), groups=names)
        }


def sound(record, prediction):
    return [("as spoken", "audio/wav", b"RIFF" + record.input.encode())]


def spelled(value):
    return value.encode()
'''

FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    "toy",
    "About toys",
    "scizoo_toy",
    media="scizoo_toy.speech.sound",
    writes={"txt": "scizoo_toy.speech.spelled"},
)
"""


def write_words(path: Path, count: int = 200, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(SYLLABLES, rng.integers(3, 9)))] = None
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text"])
        writer.writerows([word] for word in words)
    return path


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with words.csv, and the domain that judges them installed."""
    tasks = {"conf/task/toy/speech.yaml": TASK, "conf/task/toy/tuned.yaml": TUNED}
    make_plugin("toy", face=FACE, files={**tasks, "speech.py": SPEECH})
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return write_words(work / "words.csv")


_DONE: dict[str, Path] = {}


@pytest.fixture
def learnt(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that trains a model from its initial weights; made once, its checkpoint is fine-tuned later."""
    if "learnt" not in _DONE:
        folder = tmp_path_factory.mktemp("learnt") / "run"
        assert cli.main(["finetune", "toy/speech", f"data.path={toy}", f"run_dir={folder}"]) == 0
        _DONE["learnt"] = folder
    return _DONE["learnt"]


@pytest.fixture
def tuned(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that fine-tunes that model on other words, beside one from scratch."""
    if "tuned" not in _DONE:
        folder = tmp_path_factory.mktemp("tuned") / "run"
        other = write_words(folder.parent / "other.csv", seed=1)
        words = [f"data.path={other}", f"run_dir={folder}", "trainer.max_epochs=1", "adapt=lora"]
        assert cli.main(["finetune", "toy/tuned", f"checkpoint={learnt / 'checkpoint'}", *words]) == 0
        _DONE["tuned"] = folder
    return _DONE["tuned"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def scores(run: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in json.loads((run / "metrics.json").read_text())["metrics"]:
        found.setdefault(line["contender"], {})[line["metric"]] = line
    return found


def test_a_trained_model_writes_words_of_the_language(learnt):
    found = scores(learnt)
    assert set(found) == {"scratch", "ngram", "heldout"}
    main = found["scratch"]
    assert main["validity"]["low"] > 0.4
    assert main["nll_per_token"]["value"] < 1.5 < np.log(261)
    assert main["nll_per_record"]["value"] > main["nll_per_token"]["value"]
    assert found["heldout"]["validity"]["value"] == 1.0 and found["heldout"]["novelty"]["value"] == 1.0
    assert "nll_per_token" not in found["heldout"]
    for contender in found.values():
        for one in contender.values():
            assert one["low"] <= one["value"] <= one["high"]
    assert verify(learnt / "checkpoint").differences


def test_the_likelihood_of_the_table_is_that_of_the_public_face(learnt, toy):
    model = scizoo.load(learnt / "checkpoint", device="cpu")
    parts = json.loads((learnt / "report.json").read_text())["data"]["parts"]
    texts = [row["text"] for row in table(toy)]
    sums = model.score(texts)
    per_token = -sums.sum() / sum(len(text) + 1 for text in texts)
    assert parts["test"]["records"] == 40
    assert per_token == pytest.approx(scores(learnt)["scratch"]["nll_per_token"]["value"], rel=0.15)


def test_an_untrained_model_scores_near_chance(toy):
    words = [f"data.path={toy}", "optimizer.lr=1e-9", "trainer.max_epochs=1", "run_dir=new", "versus=[]"]
    assert cli.main(["finetune", "toy/speech", *words]) == 0
    main = scores(Path("new"))["scratch"]
    assert main["nll_per_token"]["value"] == pytest.approx(np.log(261), rel=0.15)
    assert main["validity"]["value"] < 0.05
    report = json.loads(Path("new/report.json").read_text())
    said = report["verdict"]["sentence"]
    assert f"{main['nll_per_token']['value']:.3f} NLL per token" in said and "nothing was compared" in said


def test_the_report_carries_table_verdict_samples_cost_and_the_way_to_reproduce(tuned):
    report = json.loads((tuned / "report.json").read_text())
    jsonschema.validate(report, schema())
    assert [row["role"] for row in report["table"]["rows"]] == [
        "pretrained",
        "scratch",
        "baseline",
        "ceiling",
    ]
    names = [metric["name"] for metric in report["table"]["metrics"]]
    assert names[:2] == ["nll_per_token", "validity"] and "syllables" in names and "longest_copy" in names
    sentence = report["verdict"]["sentence"]
    assert "held-out records" in sentence and "NLL per token" in sentence and "validity" in sentence
    assert len(report["comparisons"]) == 2
    assert len(report["cost"]) == 3 and len(report["samples"]["shown"]) == 3
    assert report["reproduce"]["command"].startswith("scizoo finetune toy/tuned")
    page = (tuned / "report.html").read_text()
    for words in ("Generated records", "held-out records", report["samples"]["shown"][0]["id"]):
        assert words in page
    valid = [one for one in report["samples"]["shown"] if one["figures"]["validity"] == 1]
    assert valid and page.count("<audio") == len(valid) and "as spoken" in page


def test_pretraining_shows_in_the_likelihood(tuned):
    found = scores(tuned)
    assert found["lora"]["nll_per_token"]["high"] < found["scratch"]["nll_per_token"]["low"]
    card = json.loads((tuned / "checkpoint" / "metrics.json").read_text())
    assert "nll_per_token" in json.dumps(card) and "gram model" in json.dumps(card)


def test_samples_are_all_there_with_what_is_known_of_each(tuned):
    rows = table(tuned / "samples.csv")
    assert len(rows) == 3 * 60 and len({row["id"] for row in rows}) == len(rows)
    first = rows[0]
    assert set(first) >= {"id", "contender", "text", "log_likelihood_per_token", "validity", "copied_share"}
    assert all(float(row["log_likelihood_per_token"]) < 0 for row in rows)
    named = [row["txt"] for row in rows if row["txt"]]
    assert len(named) == 20 and all(row["txt"] for row in rows[:20] if row["text"])
    assert (tuned / rows[0]["txt"]).read_text() == rows[0]["text"]
    shares = [float(row["validity"]) for row in rows if row["id"].startswith("lora")]
    assert np.mean(shares) == pytest.approx(scores(tuned)["lora"]["validity"]["value"])


def test_held_out_records_are_continued(learnt, toy):
    words = [f"checkpoint={learnt / 'checkpoint'}", f"data.path={toy}", "trainer.max_epochs=1", "run_dir=new"]
    more = ["samples.prompt_tokens=4", "samples.count=30", "versus=[baselines]", "task.metric=exact_match"]
    assert cli.main(["finetune", "toy/tuned", *words, *more]) == 0
    rows = table(Path("new/samples.csv"))
    known = {row["text"] for row in table(toy)}
    assert len(rows) == 60 and all(row["text"][:4] in {one[:4] for one in known} for row in rows)
    assert [row["text"][:4] for row in rows[:30]] == [row["text"][:4] for row in rows[30:]]
    assert all((row["exact_match"] == "1") <= (row["text"] in known) for row in rows)
    assert scores(Path("new"))["full"]["exact_match"]["value"] < 0.5
    # Only what was written counts as a copy: the beginnings are real.
    assert all(int(row["longest_copy"]) <= len(row["text"]) - 4 for row in rows)


def test_prompts_of_the_records_own_are_answered_several_times(learnt, toy):
    words = [f"checkpoint={learnt / 'checkpoint'}", f"data.path={toy}", "trainer.max_epochs=1", "run_dir=new"]
    more = ["samples.count=3", "samples.max_tokens=6", "versus=[baselines]", "task.metric=right"]
    more.append("scorer._target_=scizoo_toy.speech.SpeechCompleter")
    assert cli.main(["finetune", "toy/tuned", *words, *more]) == 0
    rows, found = table(Path("new/samples.csv")), scores(Path("new"))
    report = json.loads(Path("new/report.json").read_text())
    asked = report["data"]["parts"]["test"]["records"]
    assert len(rows) == 2 * 3 * asked
    # Answers to one prompt stand side by side, differ, and are resampled together.
    texts = [row["text"] for row in rows[: 3 * asked]]
    for number in range(0, len(texts), 3):
        assert len({text[:2] for text in texts[number : number + 3]}) == 1
    assert len(set(texts)) > asked
    assert found["full"]["right"]["groups"] == asked and found["full"]["right"]["records"] == 3 * asked
    assert found["heldout"]["right"]["value"] == 1.0
    assert f"3 answers to each of {asked} held-out prompts" in report["table"]["caption"]
    # What was given is not counted as written.
    assert all(int(row["longest_copy"]) <= 6 for row in rows)


def test_samples_are_complete_or_absent(toy, monkeypatch):
    def full_disk(value):
        if value != value or value < 1:
            raise OSError(28, "No space left on device")
        return "1"

    monkeypatch.setattr(generation_files, "_cell", full_disk)
    words = [f"data.path={toy}", "trainer.max_epochs=1", "run_dir=new", "versus=[]", "samples.count=20"]
    assert cli.main(["finetune", "toy/speech", *words]) == 1
    assert not list(Path("new").glob("*samples*"))
    assert not (Path("new") / "checkpoint").exists()


def generate(*words: str, task: str = "toy/speech") -> int:
    return cli.main(["generate", task, "trainer.accelerator=cpu", *words])


def texts(run: str) -> list[str]:
    return [row["text"] for row in table(Path(run) / "samples.csv")]


def test_generate_is_reproduced_by_its_seed_whatever_the_batches(learnt, capsys):
    checkpoint = f"checkpoint={learnt / 'checkpoint'}"
    capsys.readouterr()
    assert generate(checkpoint, "samples.count=20", "run_dir=a") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "a"
    assert generate(checkpoint, "samples.count=8", "samples.batch_size=3", "run_dir=b") == 0
    assert generate(checkpoint, "samples.count=8", "seed=1", "run_dir=c") == 0
    assert generate(checkpoint, "samples.count=8", "samples.temperature=0", "run_dir=d") == 0
    assert texts("a")[:8] == texts("b")
    assert texts("a")[:8] != texts("c")
    assert len(set(texts("d"))) == 1
    rows = table(Path("a/samples.csv"))
    assert list(rows[0])[:3] == ["id", "text", "log_likelihood_per_token"]
    assert [Path("a", row["txt"]).read_text() for row in rows if row["txt"]] == [t for t in texts("a") if t]
    model = scizoo.load(learnt / "checkpoint", device="cpu")
    ended = [row for row in rows if row["finished"] == "true" and row["text"]]
    again = model.score([row["text"] for row in ended])
    stated = [float(row["log_likelihood_per_token"]) * int(row["tokens"]) for row in ended]
    assert again == pytest.approx(stated, rel=1e-3)
    assert model.sample(8, batch_size=5) == [text or None for text in texts("a")[:8]]


def test_generate_continues_a_prompt_and_the_records_of_a_file(learnt):
    checkpoint = f"checkpoint={learnt / 'checkpoint'}"
    assert generate(checkpoint, "samples.count=5", "prompt=ka,[ti]'=", "run_dir=a") == 0
    assert all(text.startswith("ka,[ti]'=") for text in texts("a"))
    Path("few.csv").write_text("text\nkati\nmoru\n")
    words = ["data.path=few.csv", "samples.count=3", "samples.prompt_tokens=2", "run_dir=b"]
    assert generate(checkpoint, *words) == 0
    rows = table(Path("b/samples.csv"))
    assert [row["prompt"] for row in rows] == ["few.csv:1"] * 3 + ["few.csv:2"] * 3
    assert [row["text"][:2] for row in rows] == ["ka"] * 3 + ["mo"] * 3


def test_a_checkpoint_stands_in_the_place_of_the_task(learnt, capsys):
    folder = str(learnt / "checkpoint")
    assert generate("samples.count=2", task=folder) == 0
    printed = Path(capsys.readouterr().out.splitlines()[-1])
    assert printed.parts[:3] == ("runs", "generate", "checkpoint") and len(texts(str(printed))) == 2
    assert (printed / "command.txt").read_text().startswith(f"scizoo generate {folder} ")
    assert (printed / "samples").is_dir()
    assert generate("samples.count=2", "files.formats=[]", "run_dir=plain", task=folder) == 0
    assert not Path("plain/samples").exists()
    assert cli.main(["generate", folder, "--help"]) == 0
    assert "samples.temperature" in capsys.readouterr().out
    assert generate(f"checkpoint={folder}", task=folder) == 2
    assert "named twice" in capsys.readouterr().err


FINETUNE = ("finetune", "toy/speech", "data.path=words.csv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "toy/speach"], "did you mean 'toy/speech'"),
        (["generate", "toy/speech"], "checkpoint must be given"),
        (["generate", "toy/speech", "samples.cuont=2"], "samples.count"),
        (["generate", "toy/speech", "samples.count=0"], "samples.count=0"),
        (["generate", "toy/speech", "files.most=-1"], "files.most=-1"),
        (["generate", "toy/speech", "checkpoint=toy/none"], "There is no checkpoint"),
        (["compare", "toy/speech", "data.path=words.csv"], "scizoo finetune toy/speech"),
        (["predict", "toy/speech", "data.path=words.csv"], "scizoo generate toy/speech"),
        (["evaluate", "toy/speech", "data.path=words.csv"], "task of generation"),
        ([*FINETUNE, "adapt=probe"], "full, lora or scratch"),
        ([*FINETUNE, "task.metric=validty"], "did you mean 'validity'"),
        ([*FINETUNE, "samples.max_tokens=24"], "samples.max_tokens"),
        (
            [
                *FINETUNE,
                "scorer._target_=scizoo_toy.things.Things",
                "+scorer.path=x",
            ],
            "gives no Scorer",
        ),
        ([*FINETUNE, "context.add_cls=false"], "context.add_cls"),
        ([*FINETUNE, "+baselines.other={_target_: scizoo_toy.speech.Answers}"], "answers need a question"),
        (
            [*FINETUNE, "+baselines.other={_target_: scizoo_toy.speech.SpeechScorer}"],
            "baselines.other: SpeechScorer writes no records",
        ),
        ([*FINETUNE, "samples.prompt_tokens=22"], "prompt_tokens=22"),
        (
            [
                *FINETUNE,
                "samples.prompt_tokens=2",
                "scorer._target_=scizoo_toy.speech.SpeechCompleter",
            ],
            "prompts of their own",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_message_before_anything_is_trained(toy, capsys, words, said):
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and "\nscizoo: " in f"\n{err}"
    assert [path.name for path in Path.cwd().iterdir()] == ["words.csv"]


def test_a_masked_model_is_refused_by_what_it_is(toy, capsys, tmp_path):
    recipe = TASK.replace("kind: generation, metric: validity", "kind: language").replace(
        "task:", "recipe:", 1
    )
    recipe = recipe.replace("model_type: llama", "model_type: bert")
    recipe = recipe.replace(
        "# @package _global_", "# @package _global_\ndefaults:\n  - override /objective: mlm"
    )
    recipe = recipe.replace("path: null", f"path: {toy}").replace("toy/speech", "toy/masked")
    folder = tmp_path / "conf" / "recipe" / "toy"
    folder.mkdir(parents=True)
    (folder / "masked.yaml").write_text(recipe)
    pretrain = ["pretrain", "toy/masked", "--config-dir", str(tmp_path / "conf"), "trainer.max_epochs=null"]
    assert cli.main([*pretrain, "trainer.max_steps=2", f"run_dir={tmp_path / 'mlm'}"]) == 0
    capsys.readouterr()
    for verb, more in (("finetune", [f"data.path={toy}"]), ("generate", [])):
        assert cli.main([verb, "toy/tuned", f"checkpoint={tmp_path / 'mlm' / 'checkpoint'}", *more]) == 2
        err = capsys.readouterr().err
        assert "toy/masked cannot generate" in err and "causal language model" in err


def test_help_lists_the_tasks_that_fit(toy, capsys):
    assert cli.main(["generate", "--help"]) == 0
    out = capsys.readouterr().out
    assert "toy/speech" in out and "toy/sum" not in out and "CHECKPOINT" in out
    assert cli.main(["generate", "toy/speech", "--help"]) == 0
    assert "samples.count" in capsys.readouterr().out
    assert cli.main(["compare", "--help"]) == 0
    assert "toy/speech" not in capsys.readouterr().out
    assert cli.main(["finetune", "toy/sum", "--help"]) == 0
    assert "samples.count" not in capsys.readouterr().out
