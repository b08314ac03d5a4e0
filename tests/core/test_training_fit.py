"""Whole runs of the one module on small data: losses, best weights, guards, resuming, prediction."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from scizoo.config import compose
from scizoo.data.encoding import Context, encode_records
from scizoo.data.module import DataModule
from scizoo.data.ragged import Ragged
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, TrainingError
from scizoo.models.heads import ClassificationHead, RegressionHead
from scizoo.models.objectives import CausalLM, MaskedLM
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.training.adapt import apply_adapt
from scizoo.training.features import FeatureBackbone, cached_features
from scizoo.training.joint import JointModel
from scizoo.training.module import ScizooModule
from scizoo.training.precision import resolve_precision
from scizoo.training.predict import embed, predict, predict_windows
from scizoo.training.progress import Progress
from scizoo.training.schedule import Schedule
from scizoo.training.trainer import build_trainer, fit, monitored_metric

LETTERS = "abcdefgh"


class Letters(TokenTokenizer):
    vocab = (*TokenTokenizer.SPECIAL, *LETTERS)

    def encode(self, inputs: Any) -> dict[str, Ragged]:
        rows = [np.array([5 + LETTERS.index(letter) for letter in text]) for text in inputs]
        return {"input_ids": Ragged.from_rows(rows, np.int64)}

    def settings(self) -> dict[str, Any]:
        return {}

    def fingerprint(self) -> str:
        return "letters"

    def decode(self, ids: Any) -> str:
        return "".join(self.vocab[int(i)] for i in ids if i >= 5)


def make_data(count: int = 48, **options: Any) -> DataModule:
    """Records whose class is the letter that fills most of them."""
    draw = np.random.default_rng(0)
    records = []
    for number in range(count):
        common = LETTERS[number % 2]
        text = "".join(draw.choice([common, "c", "d"], p=[0.6, 0.2, 0.2], size=draw.integers(4, 12)))
        records.append(Record(f"r{number}", text, target=number % 2))
    encoded = encode_records(records, Letters(), context=Context(10, add_cls=True, stride=4))
    order = draw.permutation(count)
    part = count // 4
    split = Split(
        order[2 * part :], order[:part], order[part : 2 * part], np.arange(count).astype(str), "random"
    )
    targets = options.pop("targets", np.arange(count) % 2)
    return DataModule(encoded, targets, split, **{"batch_size": 4, **options})


def make_module(head: str = "class", dropout: float = 0.1, **options: Any) -> ScizooModule:
    torch.manual_seed(1)
    config = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    if head == "causal":
        config = {k: v for k, v in config.items() if "dropout" not in k} | {"num_key_value_heads": 2}
    backbone = TransformersBackbone.from_config(
        "llama" if head == "causal" else "bert", config, vocab_size=13, pad_token_id=0, max_length=16
    )
    heads = {
        "class": lambda: ClassificationHead(16, 2, dropout=dropout),
        "real": lambda: RegressionHead(16, 1),
        "masked": lambda: MaskedLM(16, 13).bind(backbone),
        "causal": lambda: CausalLM(16, 13).bind(backbone),
    }
    settings = {"lr": 3e-3, "weight_decay": 0.01, **options.pop("optimizer", {})}
    schedule = options.pop("schedule", {"name": "cosine", "warmup": 0.1})
    return ScizooModule(backbone, heads[head](), optimizer=settings, schedule=schedule, **options)


def config(trainer: dict[str, Any] | None = None, **groups: Any) -> dict[str, Any]:
    return {
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 2,
            "gradient_clip_val": 1.0,
            "log_every_n_steps": 1,
            **(trainer or {}),
        },
        "precision": groups.pop("precision", "32-true"),
        "logger": groups.pop("logger", {}),
        "callbacks": {"progress": False, **groups.pop("callbacks", {})},
        **groups,
    }


class Losses(pl.Callback):
    """Keeps every loss exactly."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.values.append(float(outputs["loss"]))
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def run(
    folder: Path, module: ScizooModule, data: DataModule, cfg: dict[str, Any], resume: Path | None = None
) -> tuple[pl.Trainer, Losses]:
    losses = Losses()
    trainer = build_trainer(cfg, folder, callbacks=[losses], title="test")
    fit(trainer, module, data, resume=resume)
    return trainer, losses


def test_it_learns_and_ends_with_the_best_weights(tmp_path: Path) -> None:
    module = make_module()
    cfg = config({"max_epochs": 6}, task={"metric": "mcc", "kind": "classification"})
    _, losses = run(tmp_path, module, make_data(), cfg)
    assert module.best is not None
    assert module.best["metric"] == "validation/mcc"
    assert module.best["value"] > 0.5
    assert np.mean(losses.values[-6:]) < 0.7 * np.mean(losses.values[:6])
    saved = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    for name, value in module.state_dict().items():
        assert torch.equal(value, saved["state_dict"][name])
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_best_is_not_last_when_the_last_epoch_is_worse(tmp_path: Path) -> None:
    class Spoil(pl.Callback):
        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 3:
                with torch.no_grad():
                    module.head.project.weight.mul_(-30)

    module = make_module()
    losses = Losses()
    cfg = config({"max_epochs": 4}, callbacks={"monitor": "loss"})
    trainer = build_trainer(cfg, tmp_path, callbacks=[losses, Spoil()])
    fit(trainer, module, make_data())
    assert module.best is not None
    assert module.best["step"] < trainer.global_step
    assert trainer.validate(module, make_data(), verbose=False)[0]["validation/loss"] == pytest.approx(
        module.best["value"], rel=1e-5
    )


@pytest.mark.parametrize("limits", [{"max_steps": 2}, {"max_epochs": 2, "val_check_interval": 4}])
def test_the_last_step_is_validated_wherever_it_falls(tmp_path: Path, limits: dict[str, int]) -> None:
    steps: list[int] = []

    class Look(pl.Callback):
        def on_validation_end(self, trainer: Any, module: Any) -> None:
            steps.append(trainer.global_step)

    limits = {"check_val_every_n_epoch": None, "val_check_interval": 50, **limits}
    module = make_module()
    trainer = build_trainer(config(limits, callbacks={"monitor": "loss"}), tmp_path, callbacks=[Look()])
    fit(trainer, module, make_data(batch_size=8))
    assert steps[-1] == trainer.global_step
    assert len(set(steps)) == len(steps)
    assert module.best is not None


def test_same_seed_same_losses_and_other_seed_other_losses(tmp_path: Path) -> None:
    cfg = config({"max_steps": 5})
    first = run(tmp_path / "a", make_module("masked"), make_data(), cfg)[1].values
    torch.rand(7)  # the global random state must not matter
    second = run(tmp_path / "b", make_module("masked"), make_data(), cfg)[1].values
    other = run(tmp_path / "c", make_module("masked", seed=1), make_data(), cfg)[1].values
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("head", "options", "accumulate"),
    [("class", {}, 1), ("masked", {}, 2), ("causal", {"packing": True, "tokens_per_batch": 40}, 1)],
)
def test_stop_and_go_gives_the_same_losses_and_weights(
    tmp_path: Path, head: str, options: dict[str, Any], accumulate: int
) -> None:
    limits = {"max_epochs": 3, "accumulate_grad_batches": accumulate}
    saving = {"checkpoint": {"every_n_steps": 4}, "restore_best": False}

    def whole_run() -> tuple[ScizooModule, Losses]:
        module = make_module(head)
        return module, run(
            tmp_path / "whole", module, make_data(**options), config(limits, callbacks=saving)
        )[1]

    whole, expected = whole_run()

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step >= 6:
                raise KeyError("killed")

    killed = make_module(head)
    trainer = build_trainer(config(limits, callbacks=saving), tmp_path / "cut", callbacks=[Stop()])
    with pytest.raises(KeyError):
        fit(trainer, killed, make_data(**options))
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 4

    resumed = make_module(head)
    _, rest = run(
        tmp_path / "cut", resumed, make_data(**options), config(limits, callbacks=saving), resume=last
    )
    done = 4 * accumulate
    assert len(expected.values) > done
    assert rest.values == expected.values[done:]
    assert rest.rates == expected.rates[done:]
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_resuming_with_another_seed_is_refused(tmp_path: Path) -> None:
    run(tmp_path, make_module(), make_data(), config({"max_epochs": 1}))
    with pytest.raises(ConfigError, match="seed=0"):
        run(
            tmp_path,
            make_module(seed=5),
            make_data(),
            config(),
            resume=tmp_path / "checkpoints" / "last.ckpt",
        )


def test_bf16_with_clipping_and_a_fused_optimizer(tmp_path: Path) -> None:
    module = make_module()
    trainer, losses = run(tmp_path, module, make_data(), config(precision="bf16-mixed"))
    assert trainer.optimizers[0].defaults["fused"]
    assert np.isfinite(losses.values).all()
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_gradients_are_clipped_to_the_norm(tmp_path: Path) -> None:
    seen: list[float] = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            norm = torch.nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])
            seen.append(float(norm))

    trainer = build_trainer(config({"max_steps": 3, "gradient_clip_val": 1e-3}), tmp_path, callbacks=[Look()])
    module = make_module()
    fit(trainer, module, make_data())
    assert seen == pytest.approx([1e-3] * 3, rel=1e-3)
    assert module.grad_norm is not None
    assert float(module.grad_norm) > 1e-2, "the norm before clipping is what is logged"


def test_a_nan_stops_the_run_with_records_and_cause(tmp_path: Path) -> None:
    data = make_data()

    class Poison(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 3:
                with torch.no_grad():
                    module.head.project.weight.fill_(float("nan"))
                self.index = batch["index"].tolist()

    poison = Poison()
    names = [data.encoded.record_ids()[record] for record in data.encoded.record_index]
    trainer = build_trainer(
        config({"max_epochs": 5}),
        tmp_path,
        callbacks=[poison],
        record_names=lambda numbers: [names[number] for number in numbers],
    )
    with pytest.raises(TrainingError) as caught:
        fit(trainer, make_module(), data)
    message = str(caught.value)
    assert "step 3" in message
    assert "loss is nan" in message
    assert "weights are not finite" in message
    assert "Learning rate 0.00" in message
    assert "gradient norm" in message
    assert all(names[number] in message for number in poison.index)
    assert caught.value.remedy is not None
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_a_loss_that_climbs_and_stays_is_stopped(tmp_path: Path) -> None:
    cfg = config(
        {"max_epochs": 50, "gradient_clip_val": None},
        callbacks={"divergence": {"factor": 1.0, "patience": 3}},
    )
    module = make_module(dropout=0.0, optimizer={"lr": 30.0}, schedule={"name": "constant", "warmup": 0})
    with pytest.raises(TrainingError, match=r"diverges|not finite|loss is") as caught:
        run(tmp_path, module, make_data(), cfg)
    assert "optimizer.lr" in str(caught.value.remedy)


def test_validation_masks_do_not_change_between_epochs(tmp_path: Path) -> None:
    module = make_module("masked", optimizer={"lr": 1e-12})
    seen: list[float] = []

    class Look(pl.Callback):
        def on_validation_end(self, trainer: Any, module: Any) -> None:
            seen.append(float(trainer.callback_metrics["validation/loss"]))

    trainer = build_trainer(config({"max_epochs": 3}), tmp_path, callbacks=[Look()])
    fit(trainer, module, make_data(batch_size=8))
    assert seen == pytest.approx([seen[0]] * 3, abs=1e-6)
    metrics = trainer.callback_metrics
    assert float(metrics["validation/perplexity"]) == pytest.approx(np.exp(seen[-1]), rel=1e-4)
    assert float(metrics["validation/bits_per_token"]) == pytest.approx(seen[-1] / np.log(2), rel=1e-4)


def test_regression_errors_are_in_the_targets_units(tmp_path: Path) -> None:
    raw = np.arange(48, dtype=np.float32)[:, None] * 10
    data = make_data(targets=(raw - raw.mean()) / raw.std())
    module = make_module("real", target_scale=float(raw.std()))
    trainer, _ = run(tmp_path, module, data, config({"max_epochs": 1}))
    rmse = float(trainer.callback_metrics["validation/rmse"])
    given = predict(module, data.val_dataloader())
    windows = predict_windows(module, data.val_dataloader())
    owner = data.encoded.record_index[windows["index"]]
    by_hand = np.sqrt(np.mean((windows["mean"][:, 0] * raw.std() + raw.mean() - raw[owner, 0]) ** 2))
    assert rmse == pytest.approx(by_hand, rel=1e-3)
    assert set(given) == {"record", "windows", "mean", "variance"}
    assert {"validation/mae", "validation/r2", "validation/spearman"} <= set(trainer.callback_metrics)


def test_a_wrong_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mcc'"):
        make_module(metrics=["mmc"])


def test_probe_trains_the_head_on_features_computed_once(tmp_path: Path) -> None:
    module = make_module()
    backbone, head = module.backbone, module.head
    apply_adapt(backbone, "probe")
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    data = make_data()
    calls: list[int] = []
    backbone.register_forward_hook(lambda *_: calls.append(1))
    features = cached_features(backbone, head, data.encoded, folder=tmp_path, key="k")
    once = len(calls)
    data.encoded = features
    data.items.encoded = features
    probe = ScizooModule(
        FeatureBackbone(16), head, optimizer={"lr": 0.05}, schedule={"name": "constant"}, seed=0
    )
    _, losses = run(tmp_path, probe, data, config({"max_epochs": 5}))
    assert len(calls) == once
    assert np.mean(losses.values[-6:]) < np.mean(losses.values[:6])
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())

    whole = predict(JointModel(backbone, head), make_data().predict_dataloader())
    quick = predict(JointModel(FeatureBackbone(16), head), data.predict_dataloader())
    np.testing.assert_allclose(whole["probability"], quick["probability"], atol=1e-4)


def test_a_frozen_backbone_is_in_evaluation_mode_while_the_head_trains(tmp_path: Path) -> None:
    module = make_module(dropout=0.5)
    apply_adapt(module.backbone, "probe")
    modes: list[tuple[bool, bool]] = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            modes.append((module.backbone.training, module.head.training))

    fit(build_trainer(config(), tmp_path, callbacks=[Look()]), module.eval(), make_data())
    assert set(modes) == {(False, True)}


def test_predictions_come_by_record_in_order() -> None:
    module = make_module().eval()
    data = make_data()
    owner = data.encoded.record_index
    records = predict(module, data.predict_dataloader(), owner)
    assert records["record"].tolist() == list(range(48))
    assert records["windows"].max() > 1, "the data must have records of several windows"
    windows = predict_windows(module, data.predict_dataloader())
    assert windows["index"].tolist() == list(range(len(owner)))
    for record in (0, int(records["windows"].argmax())):
        mean = windows["probability"][owner == record].mean(axis=0)
        np.testing.assert_allclose(records["probability"][record], mean, rtol=1e-6)
    chosen = predict(module, data.predict_dataloader(), owner, records=[7, 3])
    np.testing.assert_array_equal(chosen["probability"], records["probability"][[7, 3]])
    vectors = embed(module, data.predict_dataloader(), owner)
    assert vectors.shape == (48, 16)
    assert vectors.dtype == np.float32


def test_log_files_and_progress_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress("letters", every_seconds=0.0, stream=stream)
    cfg = config(logger={"csv": {}, "tensorboard": {}}, callbacks={"learning_rate": True})
    trainer = build_trainer(cfg, tmp_path, callbacks=[progress])
    fit(trainer, make_module(), make_data())
    lines = stream.getvalue().splitlines()
    assert any("step 3/" in line and "tokens/s" in line and "ETA 0:" in line for line in lines)
    assert any("validation: loss" in line and "mcc" in line for line in lines)
    assert "took" in lines[-1]
    header = (tmp_path / "logs" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert list((tmp_path / "logs" / "tensorboard").glob("events.out.tfevents.*"))
    assert {"train/loss", "train/accuracy", "train/lr", "train/grad_norm", "validation/mcc"} <= set(header)


def test_progress_on_a_terminal_is_a_bar_with_a_last_state(tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = Progress("letters", stream=stream)
    fit(build_trainer(config(), tmp_path, callbacks=[progress]), make_module(), make_data())
    assert "letters" in stream.getvalue()
    assert "took" in stream.getvalue()


@pytest.mark.parametrize(
    ("group", "key"), [("trainer", "max_epoch"), ("callbacks", "early_stoping"), ("trainer", "plugins")]
)
def test_unknown_keys_are_refused(tmp_path: Path, group: str, key: str) -> None:
    cfg = config()
    cfg[group] = {**cfg[group], key: 3}
    with pytest.raises(ConfigError, match=rf"{group}\.{key}"):
        build_trainer(cfg, tmp_path)


def test_a_cosine_without_an_end_is_refused(tmp_path: Path) -> None:
    cfg = config({"max_epochs": -1, "max_time": "00:00:01:00"})
    with pytest.raises(ConfigError, match="length of the run"):
        run(tmp_path, make_module(), make_data(), cfg)


def test_a_logger_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not
    cfg = config(logger={"wandb": {"project": "x"}})
    with pytest.raises(ConfigError, match="wandb") as caught:
        build_trainer(cfg, tmp_path)
    assert "pip install" in str(caught.value.remedy)


def test_slurm_needs_a_slurm_job_and_takes_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM")]:
        monkeypatch.delenv(name)
    cfg = config({"cluster": "slurm", "devices": "auto", "num_nodes": "auto", "requeue": False})
    with pytest.raises(ConfigError, match="not a SLURM job"):
        build_trainer(cfg, tmp_path)
    for name, value in {"JOB_ID": 1, "NNODES": 2, "NTASKS_PER_NODE": 3, "NTASKS": 6, "PROCID": 4}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_NODEID", "1")
    monkeypatch.setenv("SLURM_LOCALID", "1")
    trainer = build_trainer(cfg, tmp_path)
    assert (trainer.num_nodes, trainer.world_size, trainer.global_rank) == (2, 6, 4)


@pytest.mark.parametrize("trainer", ["auto", "cpu", "pretrain", "ddp"])
@pytest.mark.parametrize("verb", ["finetune", "pretrain"])
def test_every_shared_config_builds_a_trainer(tmp_path: Path, verb: str, trainer: str) -> None:
    cfg = compose(verb, None, [f"trainer={trainer}", "logger=csv"])
    built = build_trainer(cfg, tmp_path)
    kinds = {type(callback).__name__ for callback in built.callbacks}
    assert {"Progress", "DivergenceGuard", "EarlyStopping", "RestoreBest", "ModelCheckpoint"} <= kinds
    Schedule.from_config(cfg["schedule"])


@pytest.mark.parametrize("adapt", ["full", "lora", "probe", "scratch"])
def test_every_shared_way_of_adapting_trains(tmp_path: Path, adapt: str) -> None:
    cfg = compose("finetune", None, [f"adapt={adapt}"])
    module = make_module()
    report = apply_adapt(module.backbone, cfg["adapt"], seed=cfg["seed"])
    assert report.mode == adapt
    trained = ScizooModule(
        module.backbone, module.head, optimizer=cfg["optimizer"], schedule=cfg["schedule"], seed=cfg["seed"]
    )
    run(tmp_path, trained, make_data(), config({"max_steps": 2}))


def test_monitor_and_precision_are_resolved() -> None:
    task = {"metric": "mcc", "kind": "classification"}
    assert monitored_metric({"task": task}) == "validation/mcc"
    assert monitored_metric({"task": {**task, "metric": "own"}}) == "validation/loss"
    assert monitored_metric({"task": task, "callbacks": {"monitor": "auroc"}}) == "validation/auroc"
    assert resolve_precision("bf16", "cpu") == "bf16-mixed"
    assert resolve_precision("auto", "cpu") in ("32-true", "bf16-mixed")
    with pytest.raises(ConfigError, match="precision"):
        resolve_precision("bf17", "cpu")


def test_early_stopping_stops(tmp_path: Path) -> None:
    module = make_module(optimizer={"lr": 1e-12})
    cfg = config(
        {"max_epochs": 30},
        callbacks={"early_stopping": {"patience": 2, "min_delta": 0.01}, "monitor": "loss"},
    )
    trainer, _ = run(tmp_path, module, make_data(), cfg)
    assert trainer.current_epoch == 3


SCRIPT = """
import importlib.util, json, sys
from pathlib import Path

import torch

spec = importlib.util.spec_from_file_location("runs", sys.argv[1])
runs = importlib.util.module_from_spec(spec)
sys.modules["runs"] = runs
spec.loader.exec_module(runs)

if __name__ == "__main__":
    strategy, folder = sys.argv[2], Path(sys.argv[3])
    module = runs.make_module()
    cfg = runs.config({"strategy": strategy, "devices": 2, "max_epochs": 4}, callbacks={"monitor": "loss"})
    trainer, losses = runs.run(folder, module, runs.make_data(), cfg)
    full = {
        name: value.full_tensor() if hasattr(value, "full_tensor") else value
        for name, value in module.state_dict().items()
    }
    total = sum(float(value.double().abs().sum()) for value in full.values())
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    equal = all(torch.equal(value, best[name]) for name, value in full.items())
    result = {
        "losses": losses.values,
        "weights": total,
        "best": module.best["value"],
        "restored": equal,
        "sharded": any(type(p).__name__ == "DTensor" for p in module.parameters()),
        "validation": float(trainer.callback_metrics["validation/mcc"]),
    }
    (folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(result))
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_one_model(tmp_path: Path, strategy: str) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script), __file__, strategy, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first["losses"] != second["losses"], "each rank has its own batches"
    for key in ("weights", "best", "restored", "validation"):
        assert first[key] == second[key]
    assert first["restored"]
    assert first["sharded"] == (strategy == "fsdp")
    assert np.mean(first["losses"][-3:]) < np.mean(first["losses"][:3])


def test_a_new_network_begins_from_the_weights_of_the_seed() -> None:
    """Without a checkpoint as with one, the same command gives the same model."""
    from scizoo.training.build import build_parts

    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(3)  # whatever was drawn before
        cfg = {
            "seed": seed,
            "tokenizer": {"_target_": "scizoo.data.bytes_tokenizer.ByteTokenizer"},
            "backbone": {
                "_target_": "scizoo.models.transformers_backbone.TransformersBackbone.from_config",
                "model_type": "bert",
                "config": {
                    "hidden_size": 16,
                    "num_hidden_layers": 1,
                    "num_attention_heads": 2,
                    "intermediate_size": 16,
                },
            },
        }
        return list(build_parts(cfg).backbone.state_dict().values())

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
