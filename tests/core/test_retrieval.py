"""Ranks, the metrics on them, baselines that rank, pairs as data, and the common space."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scizoo.config import instantiate
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.documents import (
    PairedDataset,
    check_batch,
    documents_of,
    identities,
    numbered,
    side_of,
)
from scizoo.data.encoding import encode_records
from scizoo.data.records import Record
from scizoo.data.splits import GroupSplitter, Split
from scizoo.data.table import TableRecords
from scizoo.data.task import make_target, read_task
from scizoo.data.windows import Context
from scizoo.errors import ConfigError, DataError, TrainingError
from scizoo.evaluation.baseline import Labelled, tune
from scizoo.evaluation.leakage import AuditSettings, ExactSimilarity, audit
from scizoo.evaluation.metrics import default_metrics, replicate, score
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.ranked import rank_histogram, search_facts
from scizoo.evaluation.rankers import Bm25Ranking, RandomRanking, TfidfRanking
from scizoo.evaluation.ranks import Pairing, PoolSettings, rank_outputs, ranker_outputs
from scizoo.models.backbones import Hidden, build_backbone
from scizoo.models.retrieval import DualEncoder, PairHidden, RetrievalHead, Standardise
from scizoo.search import nearest

TINY = {
    "_target_": "scizoo.models.transformers_backbone.TransformersBackbone.from_config",
    "model_type": "bert",
    "config": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
}


def pairs(*given: tuple[str, str]) -> list[Record]:
    return [Record(f"r{number}", query, document) for number, (query, document) in enumerate(given)]


def ranked(records: list[Record], table: list[list[float]], pool: PoolSettings | None = None) -> Outputs:
    scores = np.array(table, dtype=float)
    groups = np.array([record.id for record in records])
    targets = numbered([record.target for record in records])
    return rank_outputs(records, groups, targets, lambda rows: scores[rows], pool or PoolSettings())


def test_mrr_by_hand_with_ties_in_both_directions():
    records = pairs(("a", "A"), ("b", "B"), ("c", "C"), ("d", "D"))
    outputs = ranked(
        records,
        [
            [0.9, 0.1, 0.2, 0.3],  # first
            [0.5, 0.5, 0.5, 0.1],  # two wrong ones tie with it: ranks 1 to 3, mean 2
            [0.8, 0.7, 0.6, 0.5],  # third
            [0.0, 0.0, 0.0, 0.0],  # all tie: mean 2.5
        ],
    )
    np.testing.assert_array_equal(outputs.ranks[:, 0], [1, 2, 3, 2.5])
    # columns: A 0.9 is first; B 0.5 after 0.7; C 0.6 is first; D 0.0 after 0.5, 0.3 and 0.1
    np.testing.assert_array_equal(outputs.ranks[:, 1], [1, 2, 1, 4])
    assert (outputs.candidates == 4).all()
    assert score("mrr", outputs).value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 2.5) / 4)
    assert score("mrr_back", outputs).value == pytest.approx((1 + 1 / 2 + 1 + 1 / 4) / 4)
    assert score("recall_at_1", outputs).value == 0.25
    assert score("recall_at_5", outputs).value == 1.0
    assert score("median_rank", outputs).value == 2.25
    assert score("median_rank_back", outputs).value == 1.5
    assert outputs.answers[0].tolist() == ["r0", "r3", "r2"]
    assert default_metrics("retrieval")[0].name == "mrr"


def test_equal_documents_and_equal_queries_count_as_right():
    records = pairs(("a", "X"), ("b", "X"), ("c", "Y"), ("a", "Z"))
    pairing = Pairing.of(records)
    assert pairing.right.shape == (3, 3), "distinct queries and documents"
    outputs = ranked(records, [[0.1, 0.5, 0.9], [0.9, 0.5, 0.1], [0.9, 0.2, 0.5]])
    # the query "a" has X and Z: Z is first, so both its records are right at once
    np.testing.assert_array_equal(outputs.ranks[:, 0], [1, 1, 3, 1])
    # X belongs to "a" and "b": "b" ties with "c" for first; Y to "c": last of three; Z is first
    np.testing.assert_array_equal(outputs.ranks[:, 1], [1.5, 1.5, 3, 1])
    np.testing.assert_array_equal(outputs.candidates, [[2, 2], [3, 2], [3, 3], [2, 3]])


def test_blocks_give_what_one_table_gives(monkeypatch):
    rng = np.random.default_rng(0)
    records = [Record(f"r{i}", f"q{i % 37}", f"d{i % 41}") for i in range(200)]
    table = rng.integers(0, 6, (37, 41)).astype(float)
    whole = ranked(records, table), ranked(records, table, PoolSettings(10, 3))
    monkeypatch.setattr("scizoo.evaluation.ranks._CELLS", 100)
    for one, pool in zip(whole, (PoolSettings(), PoolSettings(10, 3)), strict=True):
        again = ranked(records, table, pool)
        np.testing.assert_array_equal(one.ranks, again.ranks)
        np.testing.assert_array_equal(one.candidates, again.candidates)


def test_a_drawn_pool_has_as_many_candidates_for_every_query():
    records = pairs(*((f"q{i}", f"d{i}") for i in range(60)))
    outputs = ranked(records, np.random.default_rng(1).random((60, 60)), PoolSettings(10, 0))
    assert (outputs.candidates == 10).all()
    assert outputs.ranks.max() <= 10
    same = ranked(records, np.random.default_rng(1).random((60, 60)), PoolSettings(10, 0))
    other = ranked(records, np.random.default_rng(1).random((60, 60)), PoolSettings(10, 1))
    np.testing.assert_array_equal(outputs.ranks, same.ranks)
    assert (outputs.ranks != other.ranks).any()
    perfect = ranked(records, np.eye(60), PoolSettings(10, 0))
    assert (perfect.ranks == 1).all()
    with pytest.raises(ConfigError, match=r"evaluation\.pool=1"):
        PoolSettings.from_config({"evaluation": {"pool": 1}})


def test_wrong_scores_are_refused():
    records = pairs(("a", "A"), ("b", "B"))
    for table in ([[1.0], [2.0]], [[1.0, math.nan], [1.0, 2.0]]):
        with pytest.raises(TrainingError, match="shape"):
            ranked(records, table)


def test_metrics_of_many_weightings_equal_repeated_records(tmp_path: Path):
    rng = np.random.default_rng(2)
    records = pairs(*((f"q{i}", f"d{i}") for i in range(15)))
    outputs = ranked(records, rng.random((15, 15)))
    weights = rng.integers(0, 3, (6, 15))
    for metric in default_metrics("retrieval"):
        found = replicate(metric, outputs, weights)
        for row, value in zip(weights, found, strict=True):
            repeated = outputs.take(np.repeat(np.arange(15), row))
            assert value == pytest.approx(score(metric, repeated).value)
    for suffix in (".npz", ".parquet"):
        outputs.save(tmp_path / f"o{suffix}")
        again = Outputs.load(tmp_path / f"o{suffix}")
        np.testing.assert_array_equal(again.ranks, outputs.ranks)
        assert again.answers.tolist() == outputs.answers.tolist()
        assert again.kind == "retrieval" and again.targets.tolist() == outputs.targets.tolist()


def test_random_order_is_as_good_as_chance():
    count = 200
    records = pairs(*((f"q{i}", f"d{i}") for i in range(count)))
    groups = np.array([record.id for record in records])
    outputs = ranker_outputs(RandomRanking(seed=1), records, np.arange(count), groups, PoolSettings())
    expected = sum(1 / rank for rank in range(1, count + 1)) / count
    assert score("mrr", outputs).value == pytest.approx(expected, abs=0.03)
    assert score("median_rank", outputs).value == pytest.approx(count / 2, abs=25)


BM25S = [
    [1.2201818227767944, 0.5562970638275146, 0.06818912923336029, 0.5958775877952576],
    [0.06818912923336029, 0.04476457089185715, 1.7961781024932861, 0.06452249735593796],
]
CORPUS = [
    "a cat is a feline and likes to purr",
    "a dog is the human's best friend and loves to play",
    "a bird is a beautiful animal that can fly",
    "a fish is a creature that lives in water and swims",
]


def test_bm25_gives_the_scores_of_bm25s():
    # bm25s 0.3.16, method="lucene", k1=1.2, b=0.75, on lower-case words; it leaves the constant k1 + 1 out.
    queries = ["does the fish purr like a cat", "a bird can fly"]
    found = Bm25Ranking(pattern=r"(?u)\b\w+\b").scores(queries, CORPUS)
    np.testing.assert_allclose(found / 2.2, BM25S, rtol=1e-5)
    assert TfidfRanking().scores(queries, CORPUS).argmax(axis=1).tolist() == [0, 2]


def test_tfidf_is_scikit_learns_cosine():
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"[^\W_]+", sublinear_tf=True)
    documents = vectorizer.fit_transform(CORPUS)
    queries = ["Fish in WATER", "nothing known", "a_bird a bird"]
    expected = (vectorizer.transform(queries) @ documents.T).toarray()
    np.testing.assert_allclose(TfidfRanking().scores(queries, CORPUS), expected, atol=1e-12)
    assert (expected[1] == 0).all()


def upper(value: list[str]) -> str:
    return " ".join(value)


def test_baselines_on_words_take_other_objects_by_their_text():
    ranker = TfidfRanking(document_text=upper)
    assert ranker.scores(["cat"], [["cat", "dog"], ["bird"]])[0].argmax() == 0
    with pytest.raises(DataError, match="given list"):
        TfidfRanking().scores(["cat"], [["cat", "dog"]])
    with pytest.raises(DataError, match="cannot be counted"):
        Bm25Ranking().scores(["cat"], ["?!", "..."])
    with pytest.raises(ConfigError, match="regular expression"):
        Bm25Ranking(pattern="[").scores(["cat"], ["cat"])


def test_tuning_a_ranking_baseline_never_ends_below_its_defaults():
    records = pairs(*((text.split()[1], text) for text in CORPUS))
    part = Labelled(records, np.arange(4), np.array(list("abcd")))
    tuned = tune(Bm25Ranking(), part, part, kind="retrieval", metric="mrr", n_trials=4)
    assert tuned.value == 1.0 and len(tuned.trials) == 4
    with pytest.raises(ConfigError, match="ranks no documents"):
        tune(instantiate({"_target_": "scizoo.evaluation.baseline.MeanBaseline"}), part, part,
             kind="retrieval", metric="mrr", n_trials=0)  # fmt: skip


def test_documents_are_numbered_by_content_and_must_be_there():
    target = make_target("retrieval")
    picture = np.arange(4.0)
    assert target.encode(["x", "y", "x"]).tolist() == [0, 1, 0]
    assert target.encode([picture, picture + 1, picture.copy()]).tolist() == [0, 1, 0]
    with pytest.raises(DataError, match="record 2 has no document"):
        target.encode(["x", "  "])
    with pytest.raises(DataError, match="one document"):
        target.fit(["x", "x"])


def test_every_window_of_both_sides_is_in_a_pair():
    records = pairs(("abcdefgh", "xy"), ("ab", "uvwxyz"), ("a", "b"))
    context = Context(max_length=3)
    encoded = [
        encode_records(side, ByteTokenizer(), context=context) for side in (records, documents_of(records))
    ]
    paired = PairedDataset(*encoded, identities(records, ["g", "g", "h"]))
    assert paired.record_index.tolist() == [0, 0, 0, 1, 1, 2]
    seen = [
        {tuple(paired[number][key]) for number in range(6)} for key in ("input_ids", "document.input_ids")
    ]
    for side, shown in zip(encoded, seen, strict=True):
        assert shown == {tuple(side[number]["input_ids"]) for number in range(len(side))}
    batch = paired.collator()([paired[number] for number in (0, 5)])
    assert batch["input_ids"].shape == (2, 3) and batch["document.input_ids"].shape == (2, 2)
    assert batch["document.attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["group_number"].tolist() == [0, 1] and "group_number" not in side_of(batch)
    assert paired.windows_of(np.array([1])).tolist() == [3, 4]


def test_batches_without_other_pairs_are_refused():
    with pytest.raises(ConfigError, match="batch_size=1"):
        check_batch({"batch_size": 1})
    with pytest.raises(ConfigError, match="packing"):
        check_batch({"batch_size": 8, "packing": True})


def test_the_loss_is_symmetric_cross_entropy_without_false_negatives():
    head = RetrievalHead(4, 1, width=None, temperature=0.5, standardise=False)
    states = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    others = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 1, dtype=torch.bool)
    hidden = PairHidden(states, mask, None, document=Hidden(others, mask))
    batch = {"target": torch.tensor([0, 1, 2])}
    outputs = head(hidden, batch)
    cosine = torch.nn.functional.cosine_similarity(states[:, 0][:, None], others[:, 0][None], dim=-1)
    rows = torch.arange(3)
    expected = [torch.nn.functional.cross_entropy(one, rows) for one in (2 * cosine, 2 * cosine.T)]
    loss = head.loss(outputs, batch)
    assert float(loss.detach()) == pytest.approx(float(sum(expected) / 2), rel=1e-5)
    # rows 0 and 1 share their document: each is left with row 2 as the only wrong answer
    alike = {"target": torch.tensor([5, 5, 6])}
    two = torch.stack([2 * cosine[0, [0, 2]], 2 * cosine[1, [1, 2]]])
    forth = [two[0].logsumexp(0) - two[0, 0], two[1].logsumexp(0) - two[1, 0]]
    forth.append((2 * cosine[2]).logsumexp(0) - 2 * cosine[2, 2])
    back = [(2 * cosine[[0, 2], 0]).logsumexp(0), (2 * cosine[[1, 2], 1]).logsumexp(0)]
    back = [back[0] - 2 * cosine[0, 0], back[1] - 2 * cosine[1, 1]]
    back.append((2 * cosine[:, 2]).logsumexp(0) - 2 * cosine[2, 2])
    total = (sum(forth) + sum(back)).item() / 6
    assert head.loss(outputs, alike).item() == pytest.approx(total, rel=1e-5)
    # groups count only where asked
    grouped = {**batch, "group_number": torch.tensor([1, 1, 2])}
    assert head.loss(outputs, grouped).item() == pytest.approx(loss.item())
    strict = RetrievalHead(4, 1, width=None, temperature=0.5, standardise=False, negatives="groups")
    assert strict.loss(outputs, grouped).item() == pytest.approx(total, rel=1e-5)
    lonely = {"target": torch.tensor([1, 1, 1])}
    assert head.loss(outputs, lonely).item() == 0.0


def test_pooled_states_are_standardised_and_a_single_row_is_not_lost():
    layer = Standardise(2).train()
    rows = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    torch.testing.assert_close(layer(rows), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(layer.running_mean, torch.tensor([2.0, 20.0]))
    assert torch.isfinite(layer(rows[:1])).all() and int(layer.num_batches_tracked) == 1
    torch.testing.assert_close(layer.eval()(torch.tensor([[2.0, 20.0]])), torch.zeros(1, 2))


def test_heads_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="width"):
        RetrievalHead(4, 1, document_size=8, width=None)
    with pytest.raises(ConfigError, match="temperature"):
        RetrievalHead(4, 1, temperature=0)
    with pytest.raises(ConfigError, match="negatives"):
        RetrievalHead(4, 1, negatives="all")


def test_two_networks_are_saved_side_by_side(tmp_path: Path):
    torch.manual_seed(0)
    query, document = (build_backbone(TINY, ByteTokenizer(), 16) for _ in range(2))
    both = DualEncoder(query, document)
    assert not both.shared and len(both.encoders) == 2
    assert sum(p.numel() for p in both.parameters()) == 2 * sum(p.numel() for p in query.parameters())
    both.save(tmp_path)
    assert (tmp_path / "document" / "config.json").is_file()
    again = DualEncoder.load(tmp_path)
    for name, value in both.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    one = DualEncoder(query, query)
    assert one.shared and len(one.state_dict()) == len(query.state_dict())


def test_planted_copies_of_documents_are_found_across_parts():
    long = "def add(a, b):\n    total = a + b\n    return total  # the sum of both numbers, written at length"
    records = [
        Record("r0", "add two numbers", long),
        Record("r1", "print a greeting", "print('hello, world, how are you today, my dear friend')"),
        Record("r2", "sum up", long),
        Record("r3", "say something", "import sys\nsys.stdout.write('something else altogether')"),
        Record("r4", "nearly the same", long + "."),
    ]
    split = Split(np.array([0, 1]), np.array([3]), np.array([2, 4]), np.array(list("abcde")), "planted")
    found = {leak.kind: leak for leak in audit(records, split, ExactSimilarity(), kind="retrieval").findings}
    assert found["exact_duplicates"].count == 0
    assert found["exact_documents"].examples == [("r2", "r0", 1.0)] and found["exact_documents"].failed
    assert found["near_documents"].examples[0][:2] == ("r4", "r0")
    assert found["contradictions"].failed is None
    settings = AuditSettings(tolerances={"exact_documents": None, "near_documents": None})
    told = audit(records, split, ExactSimilarity(), kind="retrieval", settings=settings)
    assert not told.failed()
    # documents that are no texts are compared for equality
    arrays = [
        Record(record.id, record.input, np.frombuffer(record.target.encode(), np.uint8)) for record in records
    ]
    found = {leak.kind: leak for leak in audit(arrays, split, ExactSimilarity(), kind="retrieval").findings}
    assert found["exact_documents"].count == 1 and found["near_documents"].failed is None


def task(path: Path, **columns: str) -> dict:
    return {
        "task": {"name": "toy/search", "kind": "retrieval"},
        "data": {"_target_": "scizoo.data.table.TableRecords", "path": str(path), "input": "query"} | columns,
        "split": {"_target_": "scizoo.data.splits.GroupSplitter", "fractions": [0.6, 0.2, 0.2]},
    }


def test_own_tables_are_refused_in_one_message(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("query,text\n" + "".join(f"q{i},d{i}\n" for i in range(10)))
    data = read_task(task(path, target="text"))
    assert data.targets.tolist() == list(range(10)) and data.target.kind == "retrieval"
    with pytest.raises(DataError, match=r"has no column 'document' \(data\.target\)"):
        read_task(task(path, target="document"))
    with pytest.raises(DataError, match="has no document"):
        read_task(task(path))
    path.write_text("query,text\nq0,d0\n")
    with pytest.raises(DataError, match=r"mine\.csv"):
        read_task(task(path, target="text"))
    path.write_text("query,text\n" + "".join(f"q{i},{'' if i == 4 else f'd{i}'}\n" for i in range(10)))
    with pytest.raises(DataError, match=r"mine\.csv, row 5.* has no document"):
        read_task(task(path, target="text"))
    path.write_text("query,text\n" + "".join(f"{' ' if i == 4 else f'q{i}'},d{i}\n" for i in range(10)))
    with pytest.raises(DataError, match="column 'query' is empty"):
        read_task(task(path, target="text"))


def test_a_pool_of_documents_needs_no_queries(tmp_path: Path):
    path = tmp_path / "pool.csv"
    path.write_text("name,text\na,first\nb,second\n")
    table = TableRecords(path, input="query", target="text", id="name", group="patient")
    assert [(one.id, one.input) for one in table.documents()] == [("a", "first"), ("b", "second")]
    with pytest.raises(DataError, match="names no column of documents"):
        list(TableRecords(path, input="query").documents())

    class Upper(TableRecords):
        def parse_target(self, value, row):
            if value == "second":
                raise ValueError("is not the first")
            return value.upper()

    lenient = Upper(path, input="name", target="text", max_rejected=0.6)
    assert [one.input for one in lenient.documents()] == ["FIRST"]
    assert lenient.rejections.rejected[0].reason == "is not the first"
    assert [one.target for one in lenient] == ["FIRST"]


def test_the_nearest_documents_come_in_order():
    documents = np.eye(3)[[0, 1, 1, 2]]
    found = nearest(np.array([[0.1, 0.9, 0.2]]), documents, ["q"], list("abcd"), k=3)
    assert found.documents == [["b", "c", "d"]] and found.positions.tolist() == [[1, 2, 3]]
    assert found.to_frame()["rank"].tolist() == [1, 2, 3]
    assert nearest(np.ones((1, 3)), documents, ["q"], list("abcd"), k=9).positions.shape == (1, 4)
    with pytest.raises(ConfigError, match="k=0"):
        nearest(np.ones((1, 3)), documents, ["q"], list("abcd"), k=0)
    with pytest.raises(DataError, match="no document"):
        nearest(np.ones((1, 3)), np.empty((0, 3)), ["q"], [], k=1)


def test_a_report_tells_ranks_and_searches():
    records = pairs(("a", "A"), ("b", "B"), ("c", "C" * 1000))
    outputs = ranked(records, [[0.1, 0.5, 0.9], [0.2, 0.9, 0.1], [0.5, 0.2, 0.1]])
    section = rank_histogram(outputs)
    assert section["bins"] == [[1, 1], [2, 2], [3, 4]]
    assert section["counts"][0] == [1, 0, 2]
    facts = search_facts(outputs, 0, {record.id: record for record in records})
    assert (
        facts["rank"] == 3 and facts["answers"][0]["id"] == "r2" and len(facts["answers"][0]["text"]) == 400
    )


def test_pairs_of_one_group_stay_together():
    records = [Record(f"r{i}", f"q{i}", f"d{i}", group=f"g{i % 5}") for i in range(20)]
    split = GroupSplitter(fractions=[0.6, 0.2, 0.2]).split(records)
    parts = [set(split.groups[rows]) for rows in (split.train, split.validation, split.test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2]
