"""Sample answers: a bank, a grid and conditions in; response records on disk out. Does only what is missing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from prefbench.backends import (
    Backend,
    Completion,
    Request,
    Sampling,
    SteeringBackend,
    Treatment,
    choose_backend,
    open_backend,
)
from prefbench.bank import bank_hash, load_bank
from prefbench.checkpoints import explain_post_trained
from prefbench.conditions import choose_conditions, describe_source, group_by_model, make_treatment
from prefbench.demo_model import locate_model
from prefbench.errors import BackendError, ConfigError
from prefbench.folders import ConditionFolder
from prefbench.manifest import Manifest, now
from prefbench.progress import Progress, Silent, told_warnings
from prefbench.records import PromptItem, PromptStyle, RecordKey, Response, ResponseRecord
from prefbench.sample_report import ConditionReport, SampleReport, describe_failures
from prefbench.seeds import derive_seed
from prefbench.store import Appender, locked, read_models, unique_by_key
from prefbench.study import (
    DEFAULT_STUDY,
    Condition,
    Grid,
    VectorChoice,
    load_study,
    validate_grid,
    validate_seed,
)


@dataclass(frozen=True, slots=True)
class _File:
    """One response file of the grid: its prompts, and which of them are there already."""

    path: Path
    temperature: float
    items: Sequence[PromptItem]
    done: frozenset[RecordKey]

    @property
    def missing(self) -> int:
        return len(self.items) - len(self.done)


def sample_prompts(  # noqa: PLR0913 - the words of `prefbench sample`
    study: str | Path = DEFAULT_STUDY,
    *,
    model: str | None = None,
    condition: str | Sequence[str] | None = None,
    adapter: str | Path | None = None,
    temps: Sequence[float] | None = None,
    n_samples: int | None = None,
    max_tokens: int | None = None,
    top_p: float | None = None,
    stop: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    limit: int | None = None,
    prompts: str | Path | None = None,
    prompt_style: PromptStyle | None = None,
    system_prompt: str | None = None,
    vectors: Sequence[VectorChoice] | None = None,
    strict: bool = False,
    seed: int | None = None,
    backend: str | None = None,
    backend_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> SampleReport:
    """Sample what is missing of a study's grid; an argument left at None comes from the study file, or its default.

    `condition` names one condition or several of a study file; None takes all of them. Without a study file, one
    condition is sampled (`condition_1_base` unless `condition` names another). Conditions of one model share one
    load of it. `adapter` is a folder or a hub id; relative to the working directory, in a study file to that file.
    Records are appended as they are finished, so that an interrupted call is resumed by the same call. Trait
    vectors are proved to act before anything is sampled; `strict` refuses those that are not known to be of the
    model's weights.

    Raises ConfigError for what cannot be asked for, DataError for files that cannot be read or written,
    BackendError if the model fails for every request.
    """
    folder = Path(study)
    config = load_study(folder)
    given = {
        "temperatures": None if temps is None else list(temps),
        "n_samples": n_samples,
        "max_tokens": max_tokens,
        "top_p": top_p,
        "stop": None if stop is None else list(stop),
        "domains": None if domains is None else list(domains),
        "limit": limit,
    }
    grid = validate_grid(**{**config.sampling.model_dump(), **_given(given)})
    cell = _given(
        {
            "model": model,
            "prompt_style": prompt_style,
            "system_prompt": system_prompt,
            "adapter": None if adapter is None else str(adapter),
            "vectors": None if vectors is None else [vector.model_dump() for vector in vectors],
        }
    )
    names = [condition] if isinstance(condition, str) else condition
    conditions = choose_conditions(folder, config.conditions, names, cell)
    source = config.study.prompts if prompts is None else prompts
    items = load_bank(source, domains=grid.domains, limit=grid.limit)
    name, reason = choose_backend(config.backend.name if backend is None else backend)
    run = _Run(
        grid=grid,
        items=items,
        bank={"source": str(source), "sha256": bank_hash(items), "prompts": len(items)},
        seed=config.study.seed if seed is None else validate_seed(seed),
        backend=name,
        options={**config.backend.options, **(backend_options or {})},
        progress=progress or Silent(),
        strict=strict,
    )
    report = SampleReport(folder, name, reason)
    for shared_model, group in group_by_model(conditions).items():
        run.sample_model(shared_model, group, folder, report)
    return report


@dataclass(slots=True)
class _Run:
    """One call of `sample_prompts`: what all of its conditions share."""

    grid: Grid
    items: Sequence[PromptItem]
    bank: Mapping[str, Any]
    seed: int
    backend: str
    options: Mapping[str, Any]
    progress: Progress
    strict: bool = False

    def sample_model(
        self, model: str, conditions: Sequence[Condition], folder: Path, report: SampleReport
    ) -> None:
        """Sample the conditions of one model, loading it once, and only if something is missing."""
        opened: Backend | None = None
        for condition in conditions:
            target = ConditionFolder(condition.name, folder / condition.name)
            with locked(target.path, "sample"):
                manifest = Manifest(target.manifest, self._settings(condition))
                files = [
                    self._plan(target, domain, temp)
                    for domain in self._domains()
                    for temp in self.grid.temperatures
                ]
                done = ConditionReport(
                    condition.name, target.path, kept=sum(len(file.done) for file in files)
                )
                report.conditions.append(done)
                if any(file.missing for file in files):
                    opened = opened or self._open(model, conditions)
                    self._sample_condition(opened, condition, target, manifest, files, done)
        if failed := [each for each in report.conditions if each.failed]:
            raise BackendError(describe_failures(failed))

    def _open(self, model: str, conditions: Sequence[Condition]) -> Backend:
        needs = frozenset[str]().union(*(condition.needs() for condition in conditions))
        backend = open_backend(self.backend, locate_model(model), options=self.options, needs=needs)
        # a treatment that cannot be had is found before an hour of sampling, not after
        for condition in conditions:
            backend.identify(make_treatment(condition))
        return backend

    def _sample_condition(
        self,
        backend: Backend,
        condition: Condition,
        target: ConditionFolder,
        manifest: Manifest,
        files: Sequence[_File],
        report: ConditionReport,
    ) -> None:
        treatment = make_treatment(condition)
        identity = backend.identify(treatment)
        manifest.require(identity)
        chat_template = identity.get("chat_template_sha256") is not None
        warning = explain_post_trained(condition.name, condition.model, chat_template=chat_template)
        steering = self._check_steering(backend, treatment)
        warnings = [*([warning] if warning else []), *steering.pop("warnings", [])]
        for each in warnings:
            self.progress.warn(each)
        manifest.start_run(
            bank=self.bank,
            temperatures=self.grid.temperatures,
            domains=self._domains(),
            limit=self.grid.limit,
            backend=backend.describe(),
            records_before=report.kept,
            warnings=warnings,
            **({"steering_checks": steering} if steering else {}),
        )
        started = time.monotonic()
        self.progress.start(
            f"sampling {condition.name}", sum(file.missing for file in files) * self.grid.n_samples
        )
        try:
            with told_warnings(self.progress) as told:
                for file in files:
                    self._sample_file(backend, treatment, target, file, report)
        finally:
            report.seconds = time.monotonic() - started
        manifest.finish_run(
            records_written=report.written,
            failed=report.failed,
            tokens=report.tokens,
            seconds=round(report.seconds, 3),
            warnings=[*warnings, *told],
        )

    def _check_steering(self, backend: Backend, treatment: Treatment) -> dict[str, Any]:
        """Return what proves that a treatment's vectors act; a condition for which that fails is not sampled."""
        if not treatment.vectors:
            return {}
        return cast("SteeringBackend", backend).check_steering(treatment, self.items, strict=self.strict)

    def _sample_file(
        self,
        backend: Backend,
        treatment: Treatment,
        target: ConditionFolder,
        file: _File,
        report: ConditionReport,
    ) -> None:
        if not file.missing:
            return
        items = {RecordKey(item.domain, item.id, file.temperature): item for item in file.items}
        started = time.monotonic() - report.seconds
        with Appender(file.path, on_repair=self._tell_repair) as appender:
            for completion in self._complete(backend, treatment, file):
                if completion.request.key in file.done:
                    continue  # computed again only because its block was
                if completion.error is not None:
                    _keep_error(target, completion, report)
                    continue
                appender.append([_to_record(items[completion.request.key], completion)])
                report.written += 1
                report.tokens += sum(output.tokens for output in completion.outputs)
                report.seconds = time.monotonic() - started
                self.progress.advance(len(completion.outputs), f"{report.tokens / report.seconds:,.0f} tok/s")

    def _complete(self, backend: Backend, treatment: Treatment, file: _File) -> Iterator[Completion]:
        """Ask for every block of which a record is missing. Blocks do not depend on what is there already."""
        for block in _blocks(file.items, backend.block):
            missing = [
                item for item in block if RecordKey(item.domain, item.id, file.temperature) not in file.done
            ]
            asked = missing if backend.block == 1 else block
            if missing:
                yield from backend.generate(
                    self._request(item, file.temperature, treatment) for item in asked
                )

    def _request(self, item: PromptItem, temperature: float, treatment: Treatment) -> Request:
        grid = self.grid
        key = RecordKey(item.domain, item.id, temperature)
        sampling = Sampling(temperature, grid.top_p, grid.max_tokens, tuple(grid.stop))
        return Request(key, item.prompt, grid.n_samples, derive_seed(self.seed, key), sampling, treatment)

    def _plan(self, target: ConditionFolder, domain: str, temperature: float) -> _File:
        items = [item for item in self.items if item.domain == domain]
        path = target.responses_path(domain, temperature, self.grid.n_samples)
        return _File(path, temperature, items, frozenset(_read_done(path, items, temperature)))

    def _domains(self) -> list[str]:
        return list(dict.fromkeys(item.domain for item in self.items))

    def _settings(self, condition: Condition) -> dict[str, Any]:
        grid = self.grid
        return {
            "origin": "sample",
            "model": describe_source(condition.model),
            "system_prompt": condition.system_prompt,
            "adapter": describe_source(condition.adapter),
            # a file by its name: its content is pinned by the hash in what the backend identifies
            "vectors": [
                {**vector.model_dump(), "file": Path(vector.file).name} for vector in condition.vectors
            ],
            "n_samples": grid.n_samples,
            "max_tokens": grid.max_tokens,
            "top_p": grid.top_p,
            "stop": grid.stop,
            "seed": self.seed,
            "backend": self.backend,
        }

    def _tell_repair(self, path: Path, cut: int) -> None:
        self.progress.warn(f"{path}: cut off {cut} bytes of a record that an interrupted run left unfinished")


def _read_done(path: Path, items: Iterable[PromptItem], temperature: float) -> Iterator[RecordKey]:
    """Yield the keys that are on disk. Raises ConfigError if a prompt of the same id had another text there."""
    if not path.exists():
        return
    texts = {RecordKey(item.domain, item.id, temperature): item.prompt for item in items}
    for record in unique_by_key(path, read_models(path, ResponseRecord)):
        if record.key not in texts:
            continue
        if record.prompt != texts[record.key]:
            raise ConfigError(
                f"{path}: {record.id} was sampled with another text than the prompt bank has now; "
                "use the bank of that run, or another --condition or --study"
            )
        yield record.key


def _blocks(items: Sequence[PromptItem], size: int) -> Iterator[Sequence[PromptItem]]:
    """Cut a file's prompts into blocks of at most `size`, as even as can be; one block if no size matters."""
    if size == 1:
        yield items
        return
    count = -(-len(items) // size)
    bounds = [round(index * len(items) / count) for index in range(count + 1)]
    for start, stop in pairwise(bounds):
        yield items[start:stop]


def _to_record(item: PromptItem, completion: Completion) -> ResponseRecord:
    return ResponseRecord(
        id=item.id,
        domain=item.domain,
        prompt=item.prompt,
        format=item.format,
        tags=item.tags,
        temperature=completion.request.key.temperature,
        n_samples=len(completion.outputs),
        responses=[
            Response(text=output.text, finish_reason=output.finish_reason, tokens=output.tokens)
            for output in completion.outputs
        ],
        timestamp=now(),
    )


def _keep_error(target: ConditionFolder, completion: Completion, report: ConditionReport) -> None:
    """Put a failed request on record: it is missing from the responses, and asked for again by the next run."""
    key = completion.request.key
    with Appender(target.errors) as appender:
        appender.append([{**key._asdict(), "error": completion.error, "timestamp": now()}])
    report.failed += 1
    report.first_error = report.first_error or f"{key.domain}/{key.id}: {completion.error}"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
