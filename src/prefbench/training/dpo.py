"""Train a LoRA adapter with DPO: preference pairs and a model in, an adapter's folder with its manifest out."""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from prefbench.adapter_files import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE
from prefbench.backends.hf.loading import identify_model, load_model
from prefbench.backends.hf.threads import choose_threads, use_threads
from prefbench.conditions import describe_source
from prefbench.demo_model import locate_model
from prefbench.errors import BackendError, ConfigError, DataError, MissingExtraError
from prefbench.manifest import Manifest
from prefbench.progress import Progress, Silent
from prefbench.store import locked, read_json, write_json, writing
from prefbench.training.encoding import EncodedPairs, encode_pairs
from prefbench.training.pairs import Pair, describe_pairs, find_pairs, read_pairs
from prefbench.training.recipe import Recipe
from prefbench.training.trainer import evaluate_rows, last_checkpoint, make_trainer, run_trainer

LOG_FILE = "training_log.jsonl"
CHECKPOINTS = "checkpoints"
UNFINISHED = ".adapter.part"
CHECKPOINTS_PER_RUN = 10
LIBRARIES = ("torch", "transformers", "peft", "trl", "datasets", "accelerate")


@dataclass(slots=True)
class TrainReport:
    """What a training came to. Margins are in units of reward: beta times a log-probability ratio."""

    adapter: Path
    pairs: int
    steps: int = 0
    resumed_from: int = 0
    """The step at which a training that was cut off went on."""
    seconds: float = 0.0
    loss: float | None = None
    margin: float | None = None
    accuracy: float | None = None
    """Means over the last tenth of the steps."""
    held_out_pairs: int = 0
    held_out_margin: float | None = None
    held_out_accuracy: float | None = None
    dropped: int = 0
    truncated: int = 0
    micro_batch: int = 0
    finished_before: bool = False
    """The adapter was there already, made from the same pairs with the same recipe."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "adapter": str(self.adapter)}


def train_dpo(  # noqa: PLR0913 - the words of `prefbench train dpo`
    pairs: str | Path,
    *,
    model: str,
    out: str | Path,
    recipe: Recipe | None = None,
    held_out: str | Path | None = None,
    micro_batch: int = 4,
    checkpoint_every: int | None = None,
    dtype: str = "auto",
    device: str = "auto",
    revision: str | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Train a LoRA adapter on preference pairs and write it to the folder `out`.

    `pairs` is a JSONL file, or a folder made by `build_pairs`, whose held-out pairs are then measured at the end.
    `micro_batch` pairs are computed at once; a step takes `recipe.batch_size`. Out of memory, the micro-batch is
    halved once. A call that is cut off goes on from its last checkpoint when it is made again; a finished one does
    nothing. On a CPU, the same seed, pairs and versions make the same adapter.

    Raises MissingExtraError without TRL, ConfigError for what cannot be asked for, DataError "file:line" for bad
    pairs, BackendError out of memory or when the loss is no longer a number.
    """
    recipe = recipe or Recipe()
    _check_batches(recipe, micro_batch, checkpoint_every)
    train_path, held_out_path = find_pairs(Path(pairs))
    held_out_path = Path(held_out) if held_out is not None else held_out_path
    train_pairs = read_pairs(train_path)
    kept_out = read_pairs(held_out_path) if held_out_path else []
    if missing := [name for name in ("torch", "peft", "trl", "datasets") if find_spec(name) is None]:
        raise MissingExtraError(f"training ({', '.join(missing)} not found)", "train")
    folder = Path(out)
    _check_folder(folder)
    with locked(folder, "train"):
        settings = {
            "origin": "train_dpo",
            "model": describe_source(locate_model(model)),
            "recipe": recipe.model_dump(mode="json"),
            "train": describe_pairs(train_pairs),
            "held_out": describe_pairs(kept_out) if kept_out else None,
        }
        manifest = Manifest(folder / MANIFEST_FILE, settings, cure="give the same settings, or another --out")
        if (folder / WEIGHTS_FILE).is_file():
            _clean(folder)
            return TrainReport(folder, len(train_pairs), finished_before=True)
        run = _Run(
            folder=folder,
            manifest=manifest,
            recipe=recipe,
            source={"name": locate_model(model), "revision": revision, "dtype": dtype, "device": device},
            pairs=train_pairs,
            held_out=kept_out,
            checkpoint_every=checkpoint_every,
            progress=progress or Silent(),
        )
        return run.train(micro_batch)


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `train_dpo`, checked."""

    folder: Path
    manifest: Manifest
    recipe: Recipe
    source: Mapping[str, Any]
    pairs: Sequence[Pair]
    held_out: Sequence[Pair]
    checkpoint_every: int | None
    progress: Progress

    def train(self, micro_batch: int) -> TrainReport:
        """Train; out of memory, once more with half the micro-batch."""
        try:
            return self._train(micro_batch)
        except RuntimeError as error:  # torch's own out-of-memory error is one
            if not is_out_of_memory(error):
                raise
            if micro_batch == 1:
                raise _out_of_memory(self.recipe, micro_batch) from error
        half = _halve(micro_batch, self.recipe.batch_size)
        self.progress.warn(
            f"out of memory with {micro_batch} pairs at once: going on with {half} (--micro-batch)"
        )
        _free_memory()  # here, outside the handler, nothing holds the failed step's tensors any more
        try:
            return self._train(half)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise _out_of_memory(self.recipe, half) from error

    def _train(self, micro_batch: int) -> TrainReport:
        self.progress.start(f"loading {describe_source(self.source['name'])}", 1)
        model, tokenizer = load_model(
            self.source["name"],
            revision=self.source["revision"],
            dtype=self.source["dtype"],
            device=self.source["device"],
        )
        self.progress.advance(1)
        _check_device(model)
        self.manifest.require(
            {
                "weights": identify_model(self.source["name"], model),
                "dtype": str(model.dtype).removeprefix("torch."),
            }
        )
        rows = self._encode(tokenizer, self.pairs, "pairs")
        kept_out = self._encode(tokenizer, self.held_out, "held-out pairs") if self.held_out else None
        steps = math.ceil(math.ceil(len(rows.rows) / self.recipe.batch_size) * self.recipe.epochs)
        every = self.checkpoint_every or max(1, steps // CHECKPOINTS_PER_RUN)
        checkpoint = last_checkpoint(self.folder / CHECKPOINTS)
        trainer = make_trainer(
            model,
            tokenizer,
            rows.rows,
            recipe=self.recipe,
            folder=self.folder / CHECKPOINTS,
            micro_batch=micro_batch,
            save_every=every,
        )
        resumed = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        self._open_run(model, micro_batch, every, resumed=resumed)
        report = TrainReport(
            self.folder,
            len(rows.rows),
            resumed_from=resumed,
            dropped=rows.dropped,
            truncated=rows.truncated,
            micro_batch=micro_batch,
        )
        started = time.monotonic()
        with use_threads(choose_threads(model)):
            run_trainer(trainer, self.progress, checkpoint=checkpoint)
            report.seconds = round(time.monotonic() - started, 3)
            self._measure(trainer, report, kept_out)
        self._finish(trainer, report)
        return report

    def _encode(self, tokenizer: Any, pairs: Sequence[Pair], what: str) -> EncodedPairs:
        found = encode_pairs(tokenizer, pairs, max_length=self.recipe.max_length)
        limit = f"max_length {self.recipe.max_length}"
        if not found.rows:
            raise ConfigError(f"the prompts of all {what} fill {limit}: raise it with --max-length")
        if found.dropped:
            self.progress.warn(f"{found.dropped} of {len(pairs)} {what} left out: their prompts fill {limit}")
        if found.truncated:
            self.progress.warn(
                f"{found.truncated} of {len(pairs)} {what} are longer than {limit}: an answer's end is cut off"
            )
        return found

    def _open_run(self, model: Any, micro_batch: int, every: int, *, resumed: int) -> None:
        self.manifest.start_run(
            resumed_from=resumed,
            micro_batch=micro_batch,
            checkpoint_every=every,
            device=str(model.device),
            parameters=model.num_parameters(),
            trainable=sum(each.numel() for each in model.parameters() if each.requires_grad),
            versions={name: version(name) for name in LIBRARIES},
        )

    def _measure(self, trainer: Any, report: TrainReport, kept_out: EncodedPairs | None) -> None:
        logs = [entry for entry in trainer.state.log_history if "loss" in entry]
        last = logs[-max(1, len(logs) // 10) :]
        report.steps = trainer.state.global_step
        report.loss = _mean([entry["loss"] for entry in last])
        report.margin = _mean([entry["rewards/margins"] for entry in last])
        report.accuracy = _mean([entry["rewards/accuracies"] for entry in last])
        if kept_out:
            self.progress.start(f"measuring {len(kept_out.rows)} held-out pairs", 1)
            found = evaluate_rows(trainer, kept_out.rows)
            self.progress.advance(1)
            report.held_out_pairs = len(kept_out.rows)
            report.held_out_margin, report.held_out_accuracy = found["margin"], found["accuracy"]

    def _finish(self, trainer: Any, report: TrainReport) -> None:
        """Write the adapter, its weights last: where they are, the training is done."""
        unfinished = self.folder / UNFINISHED
        config = trainer.model.peft_config["default"]
        config.base_model_name_or_path = self.manifest.settings["model"]
        with writing(self.folder):
            trainer.model.save_pretrained(unfinished, save_embedding_layers=False)
            _sort_modules(unfinished / CONFIG_FILE)
            lines = [orjson.dumps(entry) + b"\n" for entry in trainer.state.log_history]
            (unfinished / LOG_FILE).write_bytes(b"".join(lines))
            facts = {name: value for name, value in report.to_dict().items() if name != "adapter"}
            for name in (LOG_FILE, CONFIG_FILE):
                (unfinished / name).replace(self.folder / name)
            self.manifest.finish_run(**facts)
            (unfinished / WEIGHTS_FILE).replace(self.folder / WEIGHTS_FILE)
        _clean(self.folder)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that memory ran out, on a GPU or on a CPU."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _out_of_memory(recipe: Recipe, micro_batch: int) -> BackendError:
    return BackendError(
        f"out of memory with {micro_batch} pairs of up to {recipe.max_length} tokens at once: give a smaller "
        "--micro-batch, --max-length or --rank; the same command goes on from the last checkpoint"
    )


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _check_device(model: Any) -> None:
    import torch

    if model.device.type == "cuda" and torch.cuda.device_count() > 1:
        raise ConfigError(
            "several GPUs are visible and DPO runs on one: choose it with the variable CUDA_VISIBLE_DEVICES=0"
        )


def _check_batches(recipe: Recipe, micro_batch: int, checkpoint_every: int | None) -> None:
    if micro_batch < 1 or recipe.batch_size % micro_batch:
        raise ConfigError(
            f"micro_batch {micro_batch} must divide batch_size {recipe.batch_size}: a step is a whole number of them"
        )
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ConfigError(f"checkpoint_every {checkpoint_every} must be 1 or more")


def _check_folder(folder: Path) -> None:
    if folder.is_dir() and not (folder / MANIFEST_FILE).is_file():
        foreign = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if foreign:
            raise DataError(
                f"{folder}: holds {foreign[0]} and no training of ours; give --out a new or an empty folder"
            )


def _clean(folder: Path) -> None:
    """Remove what only an unfinished training needs."""
    for name in (UNFINISHED, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _sort_modules(path: Path) -> None:
    """Write the names of modules in order: peft keeps them as a set, whose order changes from run to run."""
    config = read_json(path)
    write_json(path, {**config, "target_modules": sorted(config["target_modules"])})


def _halve(micro_batch: int, batch_size: int) -> int:
    """Return the largest divisor of the batch size that is at most half the micro-batch."""
    return max(size for size in range(1, micro_batch // 2 + 1) if batch_size % size == 0)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
