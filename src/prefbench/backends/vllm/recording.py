"""Read hidden states inside a worker while a check's requests pass: what moved, and how far predictions did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.backends.vllm.rows import Integers
from prefbench.backends.vllm.state import SteeringState
from prefbench.errors import BackendError
from prefbench.steering.measuring import Shift, ShiftSum
from prefbench.steering.sites import find_blocks

if TYPE_CHECKING:
    import torch

FINAL = -1
"""Stands for the model's last hidden states, behind the final norm, where a layer is asked for."""
LOGIT_CHUNK = 256
"""Tokens whose distributions are held at once."""


class Recording:
    """The hidden states of one batch of probes, by block and token."""

    def __init__(self) -> None:
        self.places: list[Integers] = []
        """For each forward pass (probe, position, kind) of each token that was read, [tokens, 3]."""
        self.hidden: dict[int, list[torch.Tensor]] = {}
        """Block -> for each forward pass the float32 hidden states of those tokens [tokens, width]."""

    def sorted(self, layer: int) -> tuple[Integers, torch.Tensor]:
        """Return (places, hidden states) of a block in the order of probe and position."""
        import torch

        if layer not in self.hidden or len(self.hidden[layer]) != len(self.places):
            raise BackendError(
                f"block {layer} was not seen by the checks: the model ran in a CUDA graph as a whole; start the engine "
                "with --engine 'compilation_config={cudagraph_mode=\"PIECEWISE\"}'"
            )
        places = np.concatenate(self.places)
        order = np.lexsort((places[:, 1], places[:, 0]))
        return places[order], torch.cat(self.hidden[layer])[torch.from_numpy(order)]


class Recorder:
    """Follows the forward passes of one worker. It is a Witness of its SteeringState while it records."""

    def __init__(self, model: Any, state: SteeringState) -> None:
        self._model = model
        self._state = state
        self._recordings: dict[str, Recording] = {}
        self._now: Recording | None = None
        self._read: Any = None
        self._handles: list[Any] = []
        self._switched: list[Any] = []

    def start(self, name: str, layers: Sequence[int], compiled: bool) -> None:
        """Read along from now on. Blocks can be seen only uncompiled, the last hidden states either way."""
        self.stop()
        self._now = self._recordings[name] = Recording()
        blocks = find_blocks(self._model)
        for layer in layers:
            module = self._model if layer == FINAL else blocks[layer]
            self._handles.append(module.register_forward_hook(self._make_hook(layer, self._now)))
        if not compiled:
            self.set_compiled(False)
        self._state.witness = self

    def stop(self) -> None:
        """Take the hooks away and let the model run as it was started."""
        self._state.witness, self._now = None, None
        while self._handles:
            self._handles.pop().remove()
        self.set_compiled(True)

    def set_compiled(self, compiled: bool) -> int:
        """Run the model's own code in place of what was compiled from it, or go back; return how many parts changed."""
        if compiled:
            parts, self._switched = self._switched, []
        else:
            parts = [part for part in self._model.modules() if getattr(part, "do_not_compile", True) is False]
            self._switched += parts
        for part in parts:
            part.do_not_compile = not compiled
        return len(parts)

    def expect(self, probes: Integers, positions: Integers, kinds: Integers) -> None:
        """Take note of the tokens of the coming forward pass."""
        if self._now is None:
            return
        import torch

        (read,) = np.nonzero(probes >= 0)
        self._read = torch.from_numpy(read)
        self._now.places.append(np.stack([probes[read], positions[read], kinds[read]], axis=-1))

    def measure_shift(self, before: str, after: str, layer: int) -> Shift:
        """Return how far a block's output moved from one recording to another of the same tokens."""
        places, plain, moved = self._pair(before, after, layer)
        total = ShiftSum(plain.shape[-1])
        total.add((moved - plain).numpy(), places[:, 2])
        return total.shift()

    def measure_divergence(self, before: str, after: str) -> tuple[float, int]:
        """Return (sum of the KL divergences of the second's next-token distributions from the first's, their number).

        Nats. On every rank, since the ranks compute logits together; on ranks that get none, (0, 0).
        """
        _, plain, moved = self._pair(before, after, FINAL)
        total, count = 0.0, 0
        for start in range(0, len(plain), LOGIT_CHUNK):
            first, second = (
                self._log_probabilities(part[start : start + LOGIT_CHUNK]) for part in (plain, moved)
            )
            if first is None or second is None:
                continue
            total += float((second.exp() * (second - first)).sum(dtype=first.double().dtype))
            count += len(first)
        return total, count

    def measure_scores(self, name: str, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probabilities of each probe's tokens from the second on [tokens - 1], float64.

        `texts` are the tokens of the probes, in the order of their numbers. On ranks that get no logits, nothing.
        Not by vLLM's prompt log-probabilities, which fail where adapters are on and there is no GPU.
        """
        import torch

        places, hidden = self._recordings[name].sorted(FINAL)
        scores = []
        for number, ids in enumerate(texts):
            own = hidden[torch.from_numpy(places[:, 0] == number)]
            if len(own) != len(ids):
                raise BackendError(f"the checks read {len(own)} tokens of a text that has {len(ids)}")
            logs = self._log_probabilities(own[:-1])
            if logs is None:
                return []
            following = torch.tensor(list(ids[1:]), device=logs.device)
            scores.append(logs.gather(-1, following[:, None])[:, 0].double().cpu().numpy())
        return scores

    def _pair(self, before: str, after: str, layer: int) -> tuple[Integers, torch.Tensor, torch.Tensor]:
        places, plain = self._recordings[before].sorted(layer)
        others, moved = self._recordings[after].sorted(layer)
        if not np.array_equal(places, others):
            raise BackendError(
                f"the checks read {len(places)} tokens without steering and {len(others)} others with it: the two "
                "passes did not run on the same replica; prove each replica alone"
            )
        return places, plain, moved

    def _log_probabilities(self, hidden: torch.Tensor) -> torch.Tensor | None:
        model = self._model
        table = next(iter(self._state.tables.values()))
        hidden = hidden.to(device=table.device, dtype=table.dtype)
        head = getattr(model, "lm_head", None)
        # with adapters on, the wrapper round the processor wants the tokens of a running batch
        processor = getattr(getattr(model, "logits_processor", None), "base_layer", None)
        logits = model.compute_logits(hidden) if processor is None else processor(head, hidden)
        return None if logits is None else logits.float().log_softmax(-1)

    def _make_hook(self, layer: int, recording: Recording) -> Callable[..., None]:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            if self._read is None:  # a warm-up run
                return
            outputs = output if isinstance(output, tuple) else (output,)
            # [tokens, width], or with models of transformers [1, tokens, width]
            parts = [part.reshape(-1, part.shape[-1]) for part in outputs[:2] if part is not None]
            read = self._read.to(parts[0].device)
            # (what the MLP adds, residual): the sum in float32, so that the reading itself does not round
            streams = [part[read].float() for part in parts]
            recording.hidden.setdefault(layer, []).append(sum(streams[1:], streams[0]).cpu())

        return keep


@contextmanager
def inference() -> Iterator[None]:
    """Compute without gradients."""
    import torch

    with torch.inference_mode():
        yield
