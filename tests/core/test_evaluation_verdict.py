"""The verdict says who wins, with how many labels and by how much, and never more than the figures do."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scizoo.evaluation.intervals import PairedResult, paired_difference
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.verdict import BudgetComparison, verdict

LORA, FULL, KMER = "dna-tiny with LoRA", "dna-tiny fine-tuned", "the k-mer baseline"
SCRATCH = "dna-tiny's architecture from scratch"


def found(labels, difference, low, high, p=None, *, first=LORA, second=KMER, **settings):
    if p is None:
        p = 0.002 if low > 0 or high < 0 else 0.4
    facts = {name: settings.pop(name) for name in ("role", "metric", "first_role") if name in settings}
    facts.setdefault("role", "scratch" if second == SCRATCH else "baseline")
    paired = {"value_first": 0.7, "value_second": 0.7 - difference, "records": 400, "groups": 50}
    paired |= {"seeds_first": 3, "seeds_second": 3, **settings}
    return BudgetComparison(labels, first, second, PairedResult(difference, low, high, p, **paired), **facts)


WIN, OPEN = found(500, 0.031, 0.012, 0.049), found(20, -0.004, -0.04, 0.03)


def test_a_win_and_no_evidence_as_a_biologist_quotes_it():
    result = verdict([OPEN, WIN], total=2545)
    assert result.sentence == (
        "With 500 labels, dna-tiny with LoRA beats the k-mer baseline by 0.031 MCC [0.012, 0.049]; "
        "with 20 labels there is no evidence that it does."
    )
    assert result.versus_scratch is None
    assert result.outcome == "mixed"
    assert [one["labels"] for one in result.evidence] == [500, 20]
    assert result.evidence[0]["adjusted_p_value"] == pytest.approx(0.004)


def test_the_baseline_wins_as_plainly():
    result = verdict([found(2545, -0.05, -0.07, -0.03, first=FULL)], total=2545)
    assert result.sentence == (
        "With all 2,545 labels, the k-mer baseline beats dna-tiny fine-tuned by 0.050 MCC [0.030, 0.070]."
    )
    assert result.outcome == "baseline"


def test_a_loss_and_no_evidence():
    result = verdict([found(100, -0.05, -0.07, -0.03), OPEN])
    assert result.sentence == (
        "With 100 labels, the k-mer baseline beats dna-tiny with LoRA by 0.050 MCC [0.030, 0.070]; "
        "with 20 labels there is no evidence of a difference between them."
    )
    assert result.outcome == "baseline"


def test_budgets_with_one_outcome_are_merged():
    many = [found(n, 0.02, 0.01, 0.03) for n in (20, 100, 500)] + [found(2545, 0.031, 0.012, 0.049)]
    result = verdict(many, total=2545)
    assert result.sentence == (
        "With 20, 100, 500 and all 2,545 labels, dna-tiny with LoRA beats the k-mer baseline, "
        "by 0.031 MCC [0.012, 0.049] with all 2,545 labels."
    )
    assert result.outcome == "pretrained"


def test_win_and_loss_at_different_budgets_name_both_winners():
    result = verdict([found(20, -0.05, -0.07, -0.03), WIN, found(100, 0, -0.02, 0.02)])
    assert result.sentence == (
        "With 500 labels, dna-tiny with LoRA beats the k-mer baseline by 0.031 MCC [0.012, 0.049]; "
        "with 20 labels, the k-mer baseline beats dna-tiny with LoRA by 0.050 MCC [0.030, 0.070]; "
        "with 100 labels there is no evidence of a difference between them."
    )
    assert result.outcome == "mixed"


def test_other_pairs_are_named():
    probe = found(20, 0.0, -0.02, 0.02, first="dna-tiny with a linear probe", second="gradient boosting")
    assert verdict([WIN, probe]).sentence.endswith(
        "; with 20 labels there is no evidence that dna-tiny with a linear probe beats gradient boosting."
    )


def test_no_evidence_anywhere():
    result = verdict([found(n, 0.004, -0.02, 0.03) for n in (20, 100)] + [found(500, -0.004, -0.03, 0.02)])
    assert result.sentence == (
        "There is no evidence that dna-tiny with LoRA beats the k-mer baseline with 20, 100 or 500 labels: "
        "with 500 labels its MCC is lower by 0.004 [-0.020, 0.030]."
    )
    assert result.outcome == "undecided"


def test_no_evidence_of_different_pairs_names_each():
    result = verdict([found(20, 0, -0.02, 0.03, first=FULL), found(100, 0.004, -0.02, 0.03)])
    assert result.sentence == (
        "There is no evidence that dna-tiny with LoRA beats the k-mer baseline with 100 labels, "
        "or that dna-tiny fine-tuned beats the k-mer baseline with 20 labels: "
        "with 100 labels the MCC of dna-tiny with LoRA is higher by 0.004 [-0.020, 0.030]."
    )


def test_single_budget_and_single_seed():
    one = verdict([found(500, 0.031, 0.012, 0.049, seeds_first=1, seeds_second=1)])
    assert one.sentence == (
        "With 500 labels, dna-tiny with LoRA beats the k-mer baseline by 0.031 MCC [0.012, 0.049] "
        "(one seed was run)."
    )
    open_one = verdict([found(20, 0.01, -0.02, 0.03, seeds_first=1)])
    assert open_one.sentence == (
        "There is no evidence that dna-tiny with LoRA beats the k-mer baseline with 20 labels: "
        "its MCC is higher by 0.010 [-0.020, 0.030] (one seed was run)."
    )
    assert "seed" not in verdict([WIN]).sentence


def test_holm_takes_a_weak_win_back():
    weak = [found(n, 0.02, 0.001, 0.04, p=0.03) for n in (20, 100)]
    assert "beats the k-mer baseline by" in verdict(weak[:1]).sentence
    both = verdict(weak)
    assert both.outcome == "undecided"
    assert both.sentence.startswith("There is no evidence")
    assert both.sentence.endswith(
        "its MCC is higher by 0.020 [0.001, 0.040], which does not hold after correction for 2 comparisons."
    )
    assert [one["adjusted_p_value"] for one in both.evidence] == pytest.approx([0.06, 0.06])


def test_rivals_are_corrected_apart():
    weak = found(20, 0.02, 0.001, 0.04, p=0.03)
    assert "beats" in verdict([weak, found(20, 0, -0.1, 0.1, second=SCRATCH)]).sentence


def test_a_small_p_needs_its_interval_too():
    assert verdict([found(20, 0.02, -0.001, 0.04, p=0.01)]).outcome == "undecided"


def test_lower_is_better():
    win = verdict([found(500, 0.12, 0.05, 0.20, metric="rmse", first="mol-tiny with LoRA")])
    assert win.sentence == (
        "With 500 labels, mol-tiny with LoRA beats the k-mer baseline (lower RMSE by 0.120 [0.050, 0.200])."
    )
    loss = verdict([found(n, -0.12, -0.20, -0.05, metric="rmse") for n in (20, 500)])
    assert loss.sentence == (
        "With 20 and 500 labels, the k-mer baseline beats dna-tiny with LoRA "
        "(lower RMSE by 0.120 [0.050, 0.200] with 500 labels)."
    )
    better = verdict([found(500, 0.1, -0.2, 0.4, metric="rmse")])
    assert better.sentence.endswith("its RMSE is lower by 0.10 [-0.20, 0.40].")
    worse = verdict([found(500, -0.1, -0.4, 0.2, metric="rmse")])
    assert worse.sentence.endswith("its RMSE is higher by 0.10 [-0.20, 0.40].")


def test_a_metric_of_several_words_reads_as_english():
    result = verdict([found(500, 0.031, 0.012, 0.049, metric="balanced_accuracy")])
    assert "by 0.031 in balanced accuracy [0.012, 0.049]" in result.sentence


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((0.031, 0.0004, 0.062), "0.0310 MCC [0.0004, 0.0620]"),  # no bound of a win reads as zero
        ((0.0312, 0.0303, 0.0321), "0.03120 MCC [0.03030, 0.03210]"),
        ((1234.5, 1100.0, 1400.0), "1,234 MCC [1,100, 1,400]"),
        ((0.02, 0.02, 0.02), "0.020 MCC [0.020, 0.020]"),
    ],
)
def test_digits_follow_the_width_of_the_interval(numbers, shown):
    assert f"by {shown}." in verdict([found(500, *numbers)]).sentence


def test_zero_has_no_sign():
    assert "-0.0" not in verdict([found(500, -0.0001, -0.02, 0.02)]).sentence.replace("[-0.020", "")


NAN = math.nan


def test_undefined_metric_is_told_with_its_reason():
    lost = found(20, NAN, NAN, NAN, NAN, reason="test holds one class only")
    assert verdict([WIN, lost]).sentence.endswith(
        "[0.012, 0.049]; with 20 labels they cannot be compared (test holds one class only)."
    )
    alone = verdict([lost])
    assert alone.sentence == (
        "With 20 labels dna-tiny with LoRA and the k-mer baseline cannot be compared "
        "(test holds one class only)."
    )
    assert alone.outcome == "undecided"
    assert "not known, test holds one class only" in alone.evidence[0]["words"]


def test_an_undefined_budget_does_not_count_as_a_test():
    lost = found(20, NAN, NAN, NAN, NAN, reason="test holds one class only")
    assert "beats" in verdict([found(100, 0.02, 0.001, 0.04, p=0.03), lost]).sentence


def test_a_difference_without_an_interval_is_no_win():
    lone = found(20, 0.5, NAN, NAN, NAN, reason="one group of test records gives no interval")
    assert "cannot be compared (one group of test records gives no interval)" in verdict([lone]).sentence


def test_unknown_number_of_labels():
    assert verdict([found(None, 0.031, 0.012, 0.049)]).sentence == (
        "dna-tiny with LoRA beats the k-mer baseline by 0.031 MCC [0.012, 0.049]."
    )
    assert verdict([found(None, 0.01, -0.02, 0.03)]).sentence == (
        "There is no evidence that dna-tiny with LoRA beats the k-mer baseline: "
        "its MCC is higher by 0.010 [-0.020, 0.030]."
    )


def test_one_label_is_singular():
    assert verdict([found(1, 0.031, 0.012, 0.049)]).sentence.startswith("With 1 label, ")


@pytest.mark.parametrize(
    ("scratch", "words"),
    [
        (
            [found(20, 0.1, 0.05, 0.15, second=SCRATCH), found(500, 0, -0.02, 0.02, second=SCRATCH)],
            (
                f"Pre-training helps: with 20 labels, {LORA} beats {SCRATCH} by 0.100 MCC [0.050, 0.150]; "
                "with 500 labels there is no evidence that it does."
            ),
        ),
        (
            [found(500, -0.1, -0.15, -0.05, second=SCRATCH)],
            f"Pre-training harms: with 500 labels, {SCRATCH} beats {LORA} by 0.100 MCC [0.050, 0.150].",
        ),
        (
            [found(n, 0.01, -0.02, 0.03, second=SCRATCH) for n in (20, 500)],
            (
                "There is no evidence that pre-training helps with 20 or 500 labels: with 500 labels the MCC "
                f"of {LORA} is higher than that of {SCRATCH} by 0.010 [-0.020, 0.030]."
            ),
        ),
        (
            [found(20, NAN, NAN, NAN, NAN, second=SCRATCH, reason="test holds one class only")],
            "Whether pre-training helps is not known: test holds one class only.",
        ),
    ],
)
def test_versus_scratch(scratch, words):
    result = verdict([WIN, *scratch])
    assert result.versus_scratch == words
    assert str(result) == f"{result.sentence} {words}"
    assert verdict(scratch).sentence == words  # alone, it is the verdict


def test_pretraining_helps_here_and_harms_there():
    both = [found(20, 0.1, 0.05, 0.15, second=SCRATCH), found(500, -0.1, -0.15, -0.05, second=SCRATCH)]
    said = verdict([WIN, *both]).versus_scratch
    assert said.startswith("Pre-training helps with some numbers of labels and harms with others: with 500 ")


@pytest.mark.parametrize(
    ("against", "scratch", "outcome"),
    [
        (0.1, 0.1, "pretrained"),
        (0.1, 0.0, "pretrained"),
        (0.1, -0.1, "scratch"),
        (-0.1, 0.1, "baseline"),
        (0.0, -0.1, "scratch"),
        (0.0, 0.1, "undecided"),
    ],
)
def test_outcome(against, scratch, outcome):
    given = [found(100, d, d - 0.05, d + 0.05, second=s) for d, s in ((against, KMER), (scratch, SCRATCH))]
    assert verdict(given).outcome == outcome


def test_the_floor_stands_in_for_a_baseline():
    assert (
        f"{LORA} beats the most frequent class by"
        in verdict([found(100, 0.3, 0.2, 0.4, second="the most frequent class", role="floor")]).sentence
    )


def test_a_new_network_says_nothing_of_pretraining():
    new = {"first": "a new network", "first_role": "scratch"}
    win = verdict([found(100, 0.3, 0.2, 0.4, **new)])
    assert win.sentence.startswith("With 100 labels, a new network beats the k-mer baseline by")
    assert win.outcome is None
    assert verdict([found(100, -0.3, -0.4, -0.2, **new)]).outcome == "baseline"


def test_nothing_compared():
    result = verdict([])
    assert result.sentence.startswith("There is nothing to compare")
    assert result.outcome == "undecided"
    assert result.evidence == []


def test_the_plain_form_is_json_with_words_as_evidence():
    scratch = found(500, 0.1, 0.05, 0.15, second=SCRATCH)
    plain = verdict([WIN, OPEN, scratch], total=2545).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["evidence"][0] == plain["versus_scratch"]
    assert plain["evidence"][1] == (
        "500 labels: dna-tiny with LoRA against the k-mer baseline: MCC 0.700 and 0.669, higher by 0.031 "
        "[0.012, 0.049] (95% interval, adjusted p = 0.004; 400 test records in 50 groups, 3 seeds)."
    )
    assert len(plain["comparisons"]) == 3


def test_from_real_outputs():
    rng = np.random.default_rng(0)

    def classifier(accuracy):
        targets = np.arange(300) % 2
        right = rng.random(300) < accuracy
        p = np.where(np.where(right, targets, 1 - targets) == 1, 0.8, 0.2)
        ids = [f"r{i}" for i in range(300)]
        return Outputs(ids, ids, targets, "classification", ("a", "b"), np.stack([1 - p, p], 1))

    strong, weak = classifier(0.95), classifier(0.6)
    paired = paired_difference("mcc", strong, weak, resamples=300)
    said = verdict([BudgetComparison(300, LORA, KMER, paired)], total=300)
    assert said.sentence.startswith(f"With all 300 labels, {LORA} beats {KMER} by 0.")
    same = paired_difference("mcc", strong, strong, resamples=300)
    assert verdict([BudgetComparison(300, LORA, KMER, same)]).sentence.endswith(
        "its MCC is higher by 0.000 [0.000, 0.000] (one seed was run)."
    )
