"""Teacher-forced measurements with and without steering: how far blocks move, how far predictions do."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from prefbench.steering.activations import pad_right
from prefbench.steering.hooks import Steering, steered
from prefbench.steering.plan import KINDS, Plan
from prefbench.steering.sites import recorded

if TYPE_CHECKING:
    import torch

Name = TypeVar("Name", bound=Hashable)
_NOTHING = Plan({})

CHUNK_VALUES = 2**26
"""How many values the next-token distributions of one forward pass may have: 256 MiB in single precision."""


class Answer(NamedTuple):
    """One answer that a check has sampled."""

    prompt: int
    """Index into the prompts."""
    ids: tuple[int, ...]
    truncated: bool
    """Whether it was cut at the longest length."""


class Text(NamedTuple):
    """A prompt and an answer to it, in tokens."""

    ids: Sequence[int]
    prompt_length: int


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one block's output moved, by sort of token (KINDS)."""

    means: np.ndarray  # [3, width] float64
    tokens: np.ndarray  # [3]: how many tokens of each sort were read
    extremes: np.ndarray  # [3]: the largest shift of a single token, as a norm

    @property
    def largest(self) -> float:
        """The largest shift of any token, as a norm."""
        return float(self.extremes.max())

    def counts(self) -> dict[str, int]:
        """Return how many tokens of each sort were read."""
        return {name: int(count) for name, count in zip(KINDS, self.tokens, strict=True)}


class ShiftSum:
    """Adds up how far tokens moved."""

    def __init__(self, width: int) -> None:
        self._total = np.zeros((len(KINDS), width))
        self._count = np.zeros(len(KINDS))
        self._extreme = np.zeros(len(KINDS))

    def add(self, change: np.ndarray, kinds: np.ndarray) -> None:
        """Take in the change of each token [..., width], given its sort [...]; sorts below 0 do not count."""
        for kind in range(len(KINDS)):
            tokens = change[kinds == kind]
            if len(tokens):
                self._total[kind] += tokens.sum(axis=0)
                self._count[kind] += len(tokens)
                # unlike max, this keeps what is no number: it has to fail the checks
                self._extreme[kind] = np.maximum(self._extreme[kind], np.linalg.norm(tokens, axis=-1).max())

    def shift(self) -> Shift:
        """Return the means over the tokens of each sort."""
        return Shift(self._total / np.maximum(self._count, 1)[:, None], self._count, self._extreme)


class Probe(NamedTuple):
    """What is measured of one plan."""

    plan: Plan
    watch: tuple[int, ...] = ()
    """Blocks whose outputs are compared; those that do not exist (before the first) are left out."""
    divergence: bool = False
    """Whether predictions are compared too."""


class Reading(NamedTuple):
    """What came of a probe."""

    shifts: Mapping[int, Shift]
    """By block: how far its output moved."""
    divergence: float | None
    """Mean KL divergence (nats) of the steered next-token distributions from the unsteered ones."""


def answer_texts(prompts: Sequence[Sequence[int]], answers: Sequence[Answer]) -> list[Text]:
    """Return each answer behind its prompt; an empty answer leaves the prompt alone."""
    return [Text([*prompts[answer.prompt], *answer.ids], len(prompts[answer.prompt])) for answer in answers]


def measure(model: Any, texts: Sequence[Text], probes: Mapping[Name, Probe]) -> dict[Name, Reading]:
    """Run given tokens with each probe's plan and without any, and return what moved, by the probes' names.

    The unsteered pass is shared by all probes, and a steered one by those of the same plan.
    """
    plans = share_passes(probes.values())
    watched = frozenset[int]().union(*(probe.watch for probe in plans))
    predicting = any(probe.divergence for probe in plans)
    sums = [_Sums() for _ in plans]
    for chunk in _chunks(model, texts):
        plain = _run(model, Probe(_NOTHING, tuple(watched), predicting), chunk)
        for probe, each in zip(plans, sums, strict=True):
            each.add(_kinds(chunk), plain, _run(model, probe, chunk))
    found = [(probe.plan, each.read()) for probe, each in zip(plans, sums, strict=True)]
    return pick_readings(found, probes)


def answer_log_likelihood(model: Any, texts: Sequence[Text]) -> tuple[float, int]:
    """Return (sum of the log-probabilities of the answers' tokens under the unsteered model, their number)."""
    total, count = 0.0, 0
    for chunk in _chunks(model, texts):
        logs = run_placed(model, chunk, None).logits.float().log_softmax(-1)
        for row, text in enumerate(chunk):
            answer = list(text.ids[text.prompt_length :])
            steps = range(text.prompt_length - 1, len(text.ids) - 1)
            total += float(logs[row, list(steps), answer].sum())
            count += len(answer)
    return total, count


def run_placed(
    model: Any, chunk: Sequence[Text], steering: Steering | None, *, predicting: bool = True
) -> Any:
    """Run texts through the model, padded on the right, and return its output; logits only if asked for."""
    import torch

    ids, mask = pad_right([text.ids for text in chunk], model.device)
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    if steering is not None:
        steering.place(positions, torch.tensor([text.prompt_length for text in chunk], device=ids.device))
    with torch.inference_mode():
        return model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            logits_to_keep=0 if predicting else 1,  # 0 is all of them
        )


class _Pass(NamedTuple):
    """One forward pass: the outputs of blocks, and the predictions if they were asked for."""

    hidden: dict[int, np.ndarray]  # block -> [rows, tokens, width]
    logs: torch.Tensor | None  # [rows, tokens, vocabulary]


class _Sums:
    """Adds up the shifts and divergences of one plan over chunks."""

    def __init__(self) -> None:
        self._shifts: dict[int, ShiftSum] = {}
        self._divergence = 0.0
        self._tokens: int | None = None

    def add(self, kinds: np.ndarray, plain: _Pass, moved: _Pass) -> None:
        """Add one chunk; `kinds` has the sort of each token, -1 for padding."""
        for layer, hidden in moved.hidden.items():
            with np.errstate(invalid="ignore"):  # what is no number fails the checks, by name
                change = hidden.astype(np.float64) - plain.hidden[layer]  # [rows, tokens, width]
                self._shifts.setdefault(layer, ShiftSum(change.shape[-1])).add(change, kinds)
        if moved.logs is not None and plain.logs is not None:
            each = (moved.logs.exp() * (moved.logs - plain.logs)).sum(-1).cpu().numpy()  # [rows, tokens]
            self._divergence += float(each[kinds >= 0].sum(dtype=np.float64))
            self._tokens = (self._tokens or 0) + int((kinds >= 0).sum())

    def read(self) -> Reading:
        """Return the means."""
        shifts = {layer: each.shift() for layer, each in self._shifts.items()}
        return Reading(
            shifts, float(np.maximum(self._divergence / self._tokens, 0.0)) if self._tokens else None
        )


def share_passes(probes: Iterable[Probe]) -> list[Probe]:
    """Return one probe for each plan there is, which measures what any of its probes does."""
    shared: list[Probe] = []
    for probe in probes:
        for index, other in enumerate(shared):
            if _equal(probe.plan, other.plan):
                watch = tuple(sorted({*probe.watch, *other.watch}))
                shared[index] = Probe(other.plan, watch, probe.divergence or other.divergence)
                break
        else:
            shared.append(probe)
    return shared


def _equal(first: Plan, second: Plan) -> bool:
    return first.layers == second.layers and all(
        np.array_equal(first.tables[layer], second.tables[layer]) for layer in first.layers
    )


def pick_readings(found: Sequence[tuple[Plan, Reading]], probes: Mapping[Name, Probe]) -> dict[Name, Reading]:
    """Return what each probe asked for, from the readings of shared passes."""
    return {
        name: next(_narrow(reading, probe) for plan, reading in found if _equal(plan, probe.plan))
        for name, probe in probes.items()
    }


def _narrow(reading: Reading, probe: Probe) -> Reading:
    shifts = {layer: shift for layer, shift in reading.shifts.items() if layer in probe.watch}
    return Reading(shifts, reading.divergence if probe.divergence else None)


def _run(model: Any, probe: Probe, chunk: Sequence[Text]) -> _Pass:
    def keep(layer: int, hidden: torch.Tensor) -> np.ndarray | None:
        return hidden.float().cpu().numpy() if layer in probe.watch else None

    steering = steered(model, probe.plan) if probe.plan.tables else nullcontext()
    with steering as placed, recorded(model, keep) as found:
        output = run_placed(model, chunk, placed, predicting=probe.divergence)
    hidden = {layer: each for layer, each in found.items() if each is not None}
    return _Pass(hidden, output.logits.float().log_softmax(-1) if probe.divergence else None)


def _kinds(chunk: Sequence[Text]) -> np.ndarray:
    """Return the sort of each token, -1 for padding, shape [rows, tokens]."""
    width = max(len(text.ids) for text in chunk)
    place = np.arange(width)[None]
    last = np.array([text.prompt_length - 1 for text in chunk])[:, None]
    return np.where(_mask(chunk), (place >= last).astype(int) + (place > last), -1)


def _mask(chunk: Sequence[Text]) -> np.ndarray:
    lengths = np.array([len(text.ids) for text in chunk])
    return np.asarray(np.arange(lengths.max())[None] < lengths[:, None])


def _chunks(model: Any, texts: Sequence[Text]) -> Iterator[list[Text]]:
    """Cut texts into chunks that one forward pass can hold; neighbours in length share one, to pad little."""
    vocabulary = model.get_output_embeddings().weight.shape[0]
    chunk: list[Text] = []
    for text in sorted(texts, key=lambda text: len(text.ids)):
        if chunk and (len(chunk) + 1) * len(text.ids) * vocabulary > CHUNK_VALUES:
            yield chunk
            chunk = []
        chunk.append(text)
    if chunk:
        yield chunk
