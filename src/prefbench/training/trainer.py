"""The one call into TRL: a loaded model, pairs in tokens and a recipe in; a trained LoRA adapter and its log out."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.errors import BackendError, ConfigError
from prefbench.progress import Progress
from prefbench.training.recipe import ALL_LINEAR, Recipe

COMPLETE = "complete"
"""A file in a checkpoint, written when all the rest of it is: a checkpoint without it was cut off."""
CHECKPOINTS_KEPT = 2

Rows = Sequence[Mapping[str, list[int]]]


def make_trainer(
    model: Any, tokenizer: Any, rows: Rows, *, recipe: Recipe, folder: Path, micro_batch: int, save_every: int
) -> Any:
    """Return TRL's trainer, with a fresh adapter on the model; its checkpoints go to `folder`.

    `rows` have `prompt_ids`, `chosen_ids` and `rejected_ids`. The reference is the model without the adapter.
    """
    from datasets import Dataset, disable_progress_bars
    from huggingface_hub import constants
    from peft import LoraConfig
    from transformers import PrinterCallback, set_seed
    from trl import DPOTrainer

    constants.HF_HUB_DISABLE_TELEMETRY = True  # TRL reports its use unless it is told not to
    disable_progress_bars()
    set_seed(recipe.seed)  # the adapter's first weights are drawn when TRL makes it, before TRL itself seeds
    # TRL asks for texts and would tokenise prompt and answer together; the ids take their place below
    placeholder = [{"prompt": "a", "chosen": " b", "rejected": " c"}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = DPOTrainer(
            model=model,
            args=_arguments(model, recipe, folder=folder, micro_batch=micro_batch, save_every=save_every),
            train_dataset=Dataset.from_list(placeholder),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=recipe.rank,
                lora_alpha=recipe.alpha,
                lora_dropout=recipe.dropout,
                target_modules=target_names(model, recipe.target_modules),
                task_type="CAUSAL_LM",
            ),
        )
    trainer.train_dataset = Dataset.from_list([dict(row) for row in rows])
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    return trainer


def run_trainer(trainer: Any, progress: Progress, *, checkpoint: Path | None) -> None:
    """Train to the end, from a checkpoint if there is one. Raises BackendError when the loss breaks."""
    trainer.add_callback(_make_watcher(progress))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def evaluate_rows(trainer: Any, rows: Rows) -> dict[str, float]:
    """Return the mean margin and the accuracy of the trained model on other pairs.

    The margin is beta times the log-probability ratio of trained to base model, chosen minus rejected; accuracy
    is the share of pairs where it is positive.
    """
    from datasets import Dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # as an attribute: what is passed to evaluate() TRL takes for texts
        trainer.eval_dataset = Dataset.from_list([dict(row) for row in rows])
        found = trainer.evaluate()
    return {
        "margin": float(found["eval_rewards/margins"]),
        "accuracy": float(found["eval_rewards/accuracies"]),
    }


def target_names(model: Any, wanted: Sequence[str]) -> list[str]:
    """Return the layer names that an adapter goes to. Raises ConfigError for one that the model does not have."""
    import torch

    output = model.get_output_embeddings()
    linear = {
        name.rsplit(".", 1)[-1]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    }
    if list(wanted) == [ALL_LINEAR]:
        return sorted(linear)
    for name in wanted:
        if name not in linear:
            raise ConfigError(
                f"target module {name!r} is no linear layer of this model: {', '.join(sorted(linear))}"
            )
    return sorted(wanted)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last whole checkpoint in a folder; those that were cut off are removed."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / COMPLETE).is_file():
            whole[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return whole[max(whole)] if whole else None


def _arguments(model: Any, recipe: Recipe, *, folder: Path, micro_batch: int, save_every: int) -> Any:
    from trl import DPOConfig

    on_gpu = model.device.type == "cuda"
    return DPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=1,  # TRL averages over batches: with one pair to each, over pairs
        gradient_accumulation_steps=recipe.batch_size // micro_batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler if recipe.scheduler != "constant" else "constant_with_warmup",
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        beta=recipe.beta,
        loss_type=list(recipe.loss_type),
        loss_weights=list(recipe.loss_weights),
        max_length=recipe.max_length,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not on_gpu,
        bf16=on_gpu and str(model.dtype) == "torch.bfloat16",  # TRL's own default is bfloat16, on a CPU too
        gradient_checkpointing=on_gpu,
        dataloader_pin_memory=on_gpu,
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _make_watcher(progress: Progress) -> Any:
    """Return a callback that moves the bar, marks whole checkpoints and stops when the loss is not a number."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]  # transformers is not typed here
        note = ""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.start("training", state.max_steps)
            progress.advance(state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is not None and not math.isfinite(loss):
                raise BackendError(
                    f"the loss at step {state.global_step} is {loss}: lower the learning rate, or use float32"
                )
            if loss is not None:
                self.note = f"loss {loss:.3f}, margin {logs.get('rewards/margins', 0):+.2f}"

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.advance(1, self.note)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    return Watcher()
