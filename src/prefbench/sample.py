"""Sample answers: a bank, a grid and conditions in; response records on disk out. Does only what is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
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
    close_backend,
    open_backend,
)
from prefbench.bank import bank_hash, load_bank
from prefbench.checkpoints import explain_post_trained
from prefbench.conditions import choose_conditions, describe_source, group_by_model, make_treatment
from prefbench.demo_model import locate_model
from prefbench.errors import UnprovedError
from prefbench.folders import ConditionFolder
from prefbench.manifest import Manifest
from prefbench.progress import Progress, Silent, told_warnings
from prefbench.records import PromptItem, PromptStyle, RecordKey
from prefbench.sample_files import Cell, File, Place, keep_error, read_done, set_aside
from prefbench.sample_report import ConditionReport, MissingAnswersError, SampleReport
from prefbench.seeds import derive_seed
from prefbench.store import locked
from prefbench.study import (
    DEFAULT_STUDY,
    Condition,
    Grid,
    VectorChoice,
    load_study,
    validate_grid,
    validate_seed,
)


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
    BackendError if the model fails for every request; of its kinds, UnprovedError if answers turn out not to be
    what was asked for, which sets this call's records aside, and MissingAnswersError at the end if some prompts
    have no answers.
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
    # one prompt that cannot be answered keeps no other condition from being sampled
    if any(each.failed for each in report.conditions):
        raise MissingAnswersError(report)
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
        with ExitStack() as locks:
            cells = [self._plan_cell(condition, folder, locks) for condition in conditions]
            report.conditions += [cell.report for cell in cells]
            todo = [cell for cell in cells if any(file.missing for file in cell.files)]
            if todo:
                self._sample_cells(model, todo)

    def _plan_cell(self, condition: Condition, folder: Path, locks: ExitStack) -> Cell:
        target = ConditionFolder(condition.name, folder / condition.name)
        locks.enter_context(locked(target.path, "sample"))
        files = [
            self._plan(target, domain, temperature)
            for domain in self._domains()
            for temperature in self.grid.temperatures
        ]
        report = ConditionReport(condition.name, target.path, kept=sum(len(file.done) for file in files))
        manifest = Manifest(target.manifest, self._settings(condition))
        return Cell(condition, make_treatment(condition), target, manifest, files, report)

    def _sample_cells(self, model: str, cells: Sequence[Cell]) -> None:
        """Load the model, prove what is to be proved of every condition, and then sample them."""
        for cell in cells:
            _read_files(cell.treatment)
        needs = frozenset[str]().union(*(cell.condition.needs() for cell in cells))
        self.progress.start(f"loading {describe_source(model)} ({self.backend})", 1)
        backend = open_backend(self.backend, locate_model(model), options=self.options, needs=needs)
        try:
            with told_warnings(self.progress) as told:
                self._prepare(backend, cells)
            for cell in cells:
                cell.warnings += told
            # a backend that streams takes all conditions in one pass; one that works in blocks takes them in turn
            for together in [cells] if backend.block == 1 else [[cell] for cell in cells]:
                self._sample_pass(backend, together)
        finally:
            close_backend(backend)

    def _prepare(self, backend: Backend, cells: Sequence[Cell]) -> None:
        # a treatment that cannot be had is found before an hour of sampling, not after
        for cell in cells:
            self._identify(backend, cell)
        backend.describe()  # some start only now, when they know all conditions
        self.progress.advance(1)
        check_mixing = getattr(backend, "check_mixing", None)
        mixing = check_mixing([cell.treatment for cell in cells], self.items) if check_mixing else []
        steered = [cell for cell in cells if cell.treatment.vectors]
        if steered:
            self.progress.start("proving that the trait vectors act, by condition", len(steered))
        for cell in cells:
            cell.mixing = mixing
            for warning in cell.warnings:
                self.progress.warn(warning)
        for cell in steered:
            self._prove(backend, cell)
            self.progress.advance(1)

    def _identify(self, backend: Backend, cell: Cell) -> None:
        identity = backend.identify(cell.treatment)
        cell.manifest.require(identity)
        chat_template = identity.get("chat_template_sha256") is not None
        condition = cell.condition
        if warning := explain_post_trained(condition.name, condition.model, chat_template=chat_template):
            cell.warnings.append(warning)

    def _prove(self, backend: Backend, cell: Cell) -> None:
        """Have the backend show that a condition's vectors act; if that fails, nothing is sampled."""
        prover = cast("SteeringBackend", backend)
        cell.checks = prover.check_steering(cell.treatment, self.items, strict=self.strict)
        found = cell.checks.pop("warnings", [])
        cell.warnings += found
        for warning in found:
            self.progress.warn(warning)

    def _sample_pass(self, backend: Backend, cells: Sequence[Cell]) -> None:
        for cell in cells:
            cell.manifest.start_run(
                bank=self.bank,
                temperatures=self.grid.temperatures,
                domains=self._domains(),
                limit=self.grid.limit,
                backend=backend.describe(),
                records_before=cell.report.kept,
                warnings=cell.warnings,
                **({"mixing_checks": cell.mixing} if cell.mixing else {}),
                **({"steering_checks": cell.checks} if cell.checks else {}),
            )
        names = ", ".join(cell.condition.name for cell in cells)
        missing = sum(file.missing for cell in cells for file in cell.files)
        self.progress.start(f"sampling {names}", missing * self.grid.n_samples)
        started = time.monotonic()
        try:
            with told_warnings(self.progress) as told, ExitStack() as files:
                places = self._open_places(cells, files)
                try:
                    self._write_all(backend, cells, places, started)
                except UnprovedError as error:
                    files.close()
                    raise set_aside(cells, places.values(), error) from error
        finally:
            _share_time(time.monotonic() - started, [cell.report for cell in cells])
        counted: dict[str, Any] = getattr(backend, "steered_tokens", dict)()
        for cell in cells:
            cell.manifest.finish_run(
                records_written=cell.report.written,
                failed=cell.report.failed,
                tokens=cell.report.tokens,
                seconds=round(cell.report.seconds, 3),
                warnings=[*cell.warnings, *told],
                **({"steered_tokens": counted} if counted and cell.treatment.vectors else {}),
                **({"sampled_with": [other.condition.name for other in cells]} if len(cells) > 1 else {}),
            )

    def _open_places(self, cells: Sequence[Cell], files: ExitStack) -> dict[tuple[str, str, float], Place]:
        return {
            (cell.treatment.condition, file.domain, file.temperature): Place(
                cell, file, self._tell_repair, files
            )
            for cell in cells
            for file in cell.files
            if file.missing
        }

    def _write_all(
        self,
        backend: Backend,
        cells: Sequence[Cell],
        places: Mapping[tuple[str, str, float], Place],
        started: float,
    ) -> None:
        """Write each record when it is finished."""
        tokens = 0
        for completion in self._complete(backend, cells):
            key = completion.request.key
            place = places[completion.request.treatment.condition, key.domain, key.temperature]
            if key in place.file.done:
                continue  # computed again only because its block was
            if completion.error is not None:
                keep_error(place.cell.target, completion, place.cell.report)
                continue
            tokens += place.write(completion)
            speed = tokens / max(time.monotonic() - started, 1e-9)
            self.progress.advance(len(completion.outputs), f"{speed:,.0f} tok/s")

    def _complete(self, backend: Backend, cells: Sequence[Cell]) -> Iterator[Completion]:
        """Ask for every block of which a record is missing. Blocks do not depend on what is there already."""
        if backend.block == 1:
            yield from backend.generate(
                self._request(item, file.temperature, cell.treatment)
                for cell in cells
                for file in cell.files
                for item in file.items
                if file.lacks(item)
            )
            return
        for cell in cells:
            for file in cell.files:
                for block in _blocks(file.items, backend.block):
                    if any(file.lacks(item) for item in block):
                        yield from backend.generate(
                            self._request(item, file.temperature, cell.treatment) for item in block
                        )

    def _request(self, item: PromptItem, temperature: float, treatment: Treatment) -> Request:
        grid = self.grid
        key = RecordKey(item.domain, item.id, temperature)
        sampling = Sampling(temperature, grid.top_p, grid.max_tokens, tuple(grid.stop))
        return Request(key, item.prompt, grid.n_samples, derive_seed(self.seed, key), sampling, treatment)

    def _plan(self, target: ConditionFolder, domain: str, temperature: float) -> File:
        items = [item for item in self.items if item.domain == domain]
        path = target.responses_path(domain, temperature, self.grid.n_samples)
        return File(path, domain, temperature, items, frozenset(read_done(path, items, temperature)))

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


def _read_files(treatment: Treatment) -> None:
    """Read what a treatment brings with it: that takes a moment, and loading the model may take minutes.

    Raises ConfigError and DataError for a file that is missing or not what it should be.
    """
    from prefbench.adapter_files import is_hub_id, read_adapter
    from prefbench.steering.vectors import load_vector

    if treatment.adapter is not None and not is_hub_id(treatment.adapter):
        read_adapter(treatment.adapter)
    for vector in treatment.vectors:
        load_vector(vector.file)


def _blocks(items: Sequence[PromptItem], size: int) -> Iterator[Sequence[PromptItem]]:
    """Cut a file's prompts into blocks of at most `size`, as even as can be."""
    count = -(-len(items) // size)
    bounds = [round(index * len(items) / count) for index in range(count + 1)]
    for start, stop in pairwise(bounds):
        yield items[start:stop]


def _share_time(seconds: float, reports: Sequence[ConditionReport]) -> None:
    """Give each condition of a pass its share of the time, by its tokens."""
    tokens = sum(report.tokens for report in reports)
    for report in reports:
        report.seconds += seconds * report.tokens / tokens if tokens else 0.0


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
