"""One short file a verb; here are the verbs."""

from __future__ import annotations

#: Verbs that answer at once.
PLAIN = {
    "list": "what is installed: tasks, recipes, checkpoints, tokenizers",
    "info": "everything about one domain, task, recipe, checkpoint or tokenizer",
    "doctor": "this machine and the installed domains: what is wrong and how to mend it",
    "verify": "recompute a checkpoint's stored outputs and check its files",
    "config": "show, check or copy the config of a task or recipe",
}

#: Verbs that run a Hydra job and make a run directory.
JOBS = {
    "pretrain": "train a backbone on unlabelled data by a recipe",
    "finetune": "adapt a checkpoint to a task and judge it beside its baseline",
    "evaluate": "judge a fine-tuned checkpoint on a task",
    "predict": "predictions of a checkpoint for new records",
    "embed": "one vector for each record",
    "generate": "new records from a causal language model, with or without a prompt",
    "compare": "is pre-training worth it? pre-trained, from scratch and baseline side by side",
}
