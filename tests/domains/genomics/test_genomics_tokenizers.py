from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo_genomics.augment import ReverseComplement
from scizoo_genomics.tokenizers.bpe import BPETokenizer
from scizoo_genomics.tokenizers.codon import CodonTokenizer
from scizoo_genomics.tokenizers.kmer import KmerTokenizer
from scizoo_genomics.tokenizers.nucleotide import NucleotideTokenizer

IUPAC = "ACGTRYSWKMBDHVN"
DNA = st.text(alphabet="ACGT", max_size=40)
ANY = st.text(alphabet=IUPAC + IUPAC.lower() + "Uu", max_size=40)


def loop(sequence: str, k: int, stride: int, lead: int, vocab: dict[str, int]) -> list[int]:
    """What the table look-ups must equal: a plain loop over windows."""
    sequence = sequence.upper().replace("U", "T")
    ids = [vocab[base] for base in sequence[:lead]]
    rest = sequence[lead:]
    place, end = 0, 0
    while place + k <= len(rest):
        ids.append(
            vocab.get(rest[place : place + k], 1) if set(rest[place : place + k]) <= set("ACGT") else 1
        )
        end = place + k
        place += stride
    return ids + [vocab[base] for base in rest[end:]]


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY, max_size=6), st.integers(1, 5), st.data())
def test_kmers_equal_a_plain_loop(sequences, k, data):
    stride = data.draw(st.integers(1, k))
    tokenizer = KmerTokenizer(k=k, stride=stride)
    vocab: dict[str, int] = {}
    for id, token in enumerate(tokenizer.vocab):
        vocab[token] = id  # with k = 1 the words are meant, not the left-over letters
    encoded = tokenizer.encode(sequences)["input_ids"]
    assert encoded.values.dtype == np.int32
    assert [row.tolist() for row in encoded] == [loop(s, k, stride, 0, vocab) for s in sequences]


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY, max_size=6), st.integers(0, 2))
def test_codons_equal_a_plain_loop(sequences, frame):
    tokenizer = CodonTokenizer(frame=frame)
    vocab = {token: id for id, token in enumerate(tokenizer.vocab)}
    encoded = tokenizer.encode(sequences)["input_ids"]
    assert [row.tolist() for row in encoded] == [loop(s, 3, 3, frame, vocab) for s in sequences]


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY, max_size=6))
def test_nucleotides_round_trip_with_every_ambiguity_code(sequences):
    tokenizer = NucleotideTokenizer()
    encoded = tokenizer.encode(sequences)["input_ids"]
    assert [tokenizer.decode(row) for row in encoded] == [s.upper().replace("U", "T") for s in sequences]
    assert tokenizer.vocab_size == len(tokenizer.vocab) == 20


@settings(max_examples=100, deadline=None)
@given(st.lists(DNA, min_size=1, max_size=5), st.integers(1, 6), st.data())
def test_kmers_and_codons_round_trip(sequences, k, data):
    stride = data.draw(st.integers(1, k))
    for tokenizer in (KmerTokenizer(k=k, stride=stride), CodonTokenizer(frame=data.draw(st.integers(0, 2)))):
        for sequence, row in zip(sequences, tokenizer.encode(sequences)["input_ids"]):
            assert tokenizer.decode(row) == sequence


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ACGT", min_size=3, max_size=40), st.integers(1, 3))
def test_kmers_of_the_other_strand_are_the_other_strands_kmers(sequence, k):
    tokenizer = KmerTokenizer(k=k, stride=1)
    here, there = ReverseComplement().views(sequence)
    words = [tokenizer.vocab[id] for id in tokenizer.encode([here])["input_ids"][0]]
    others = [tokenizer.vocab[id] for id in tokenizer.encode([there])["input_ids"][0]]
    assert [ReverseComplement().views(word)[1] for word in reversed(words)] == others


def test_an_ambiguous_word_is_unknown_and_its_neighbours_restore_what_they_can():
    tokenizer = KmerTokenizer(k=3, stride=1)
    row = tokenizer.encode(["ACGTNACGT"])["input_ids"][0]
    assert (row == tokenizer.unk_id).tolist() == [False, False, True, True, True, False, False]
    assert tokenizer.decode(row) == "ACGTNACGT"
    apart = KmerTokenizer(k=3, stride=3)
    assert apart.decode(apart.encode(["ACGNACGTAR"])["input_ids"][0]) == "ACGNNNGTAR"


def test_special_tokens_are_left_out_of_what_is_decoded():
    tokenizer = KmerTokenizer(k=2)
    row = tokenizer.encode(["ACGTA"])["input_ids"][0]
    assert tokenizer.decode([tokenizer.cls_id, *row, tokenizer.sep_id, tokenizer.pad_id]) == "ACGTA"


def test_vocabularies_are_spelled_on_demand():
    tokenizer = KmerTokenizer(k=12, max_vocab=20_000_000)
    assert tokenizer.vocab_size == len(tokenizer.vocab) == 4**12 + 20
    assert tokenizer.vocab[-1] == "T" * 12
    assert tokenizer.vocab[20] == "A" * 12
    assert tokenizer.encode(["T" * 12])["input_ids"][0].tolist() == [tokenizer.vocab_size - 1]
    with pytest.raises(IndexError):
        tokenizer.vocab[tokenizer.vocab_size]


@pytest.mark.parametrize(
    "options", [{"k": 13}, {"k": 0}, {"k": 3, "stride": 4}, {"k": 3, "stride": 0}, {"k": 10}]
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match="tokenizer"):
        KmerTokenizer(**options)


@pytest.mark.parametrize("tokenizer", [NucleotideTokenizer(), KmerTokenizer(3), CodonTokenizer()])
def test_foreign_letters_name_their_place(tokenizer):
    with pytest.raises(DataError, match=r"Input 1 holds 'E' at base 3"):
        tokenizer.encode(["ACGT", "ACEG"])
    with pytest.raises(DataError, match=r"Input 1 holds 'é' at base 2"):
        tokenizer.encode(["ACGT", "Aé"])
    with pytest.raises(DataError, match="not a sequence"):
        tokenizer.encode([5])


def test_stop_codons():
    gene = "ATGTAAAAATGA"
    assert CodonTokenizer().decode(CodonTokenizer().encode([gene])["input_ids"][0]) == gene
    strip = CodonTokenizer(stops="strip")
    assert [strip.decode(row) for row in strip.encode([gene, "ATGAAA", ""])["input_ids"]] == [
        gene[:-3],
        "ATGAAA",
        "",
    ]
    with pytest.raises(DataError, match=r"Input 1 has a stop \(TAA\) at codon 2"):
        CodonTokenizer(stops="refuse").encode(["ATGTGA", gene])
    standard = CodonTokenizer()
    assert sorted(standard.vocab[int(id)] for id in standard.stop_ids) == ["TAA", "TAG", "TGA"]
    mycoplasma = CodonTokenizer(genetic_code=4)
    assert sorted(mycoplasma.vocab[int(id)] for id in mycoplasma.stop_ids) == ["TAA", "TAG"]
    with pytest.raises(ConfigError, match="genetic_code"):
        CodonTokenizer(genetic_code=99)


def test_translation_agrees_with_biopython(dna):
    from Bio.Seq import Seq

    sequence = dna(300, 5)
    tokenizer = CodonTokenizer(genetic_code=1)
    assert tokenizer.translate(tokenizer.encode([sequence])["input_ids"][0]) == str(Seq(sequence).translate())
    assert tokenizer.translate(tokenizer.encode(["ATGNNNTAA"])["input_ids"][0]) == "MX*"


def test_bpe_trains_saves_and_round_trips(tmp_path, dna):
    tokenizer = BPETokenizer(vocab_size=64)
    with pytest.raises(ConfigError, match="no vocabulary"):
        tokenizer.encode(["ACGT"])
    corpus = [dna(50, i) * 4 for i in range(20)]
    tokenizer.train(corpus)
    sequences = ["acguNRYK", dna(333, 9), *corpus[:3], ""]
    rows = tokenizer.encode(sequences)["input_ids"]
    assert [tokenizer.decode(row) for row in rows] == [s.upper().replace("U", "T") for s in sequences]
    assert tokenizer.vocab[:5] == tokenizer.SPECIAL
    assert len(rows[2]) < len(corpus[0]) / 2, "merges shorten what it was trained on"
    tokenizer.save_files(tmp_path)
    again = BPETokenizer.from_settings(tokenizer.settings(), tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    assert np.array_equal(again.encode(sequences)["input_ids"].values, rows.values)
    with pytest.raises(DataError, match="Input 0"):
        tokenizer.encode(["PROTEIN"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        BPETokenizer.from_settings(tokenizer.settings(), tmp_path)


@pytest.mark.parametrize(
    "tokenizer",
    [NucleotideTokenizer(), KmerTokenizer(4, 2), CodonTokenizer(1, "strip", 4)],
    ids=lambda t: type(t).__name__,
)
def test_settings_build_the_same_tokenizer(tokenizer, tmp_path, dna):
    again = type(tokenizer).from_settings(tokenizer.settings(), tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    sequences = [dna(100, 1), "AC", ""]
    first, second = tokenizer.encode(sequences)["input_ids"], again.encode(sequences)["input_ids"]
    assert np.array_equal(first.values, second.values)
    assert KmerTokenizer(4, 2).fingerprint() != KmerTokenizer(4, 1).fingerprint()


def test_reverse_complement_views():
    augment = ReverseComplement(train=False)
    assert augment.views("AACGN") == ["AACGN", "NCGTT"]
    assert augment.settings() == {"train": False, "predict": True}
    assert augment.fingerprint() == ReverseComplement().fingerprint()
