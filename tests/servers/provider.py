"""A stand-in for Anthropic and OpenAI on loopback: chat, messages and both batch protocols, with faults by script.

It reads the judge's message as a judge would (its blocks, by the key of the markers) and answers from the texts:
a response that begins with "I prefer" is Y. What it counted and saw is in its attributes.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from servers.http import HttpRequest, LocalServer, Reply, json_reply

MARKER = re.compile(r"^<<([0-9a-f]{6}) (question|options|end|\d+)>>$", re.MULTILINE)
Answerer = Callable[[str], str]
Fault = Callable[[HttpRequest], Reply | None]


def read_blocks(message: str) -> dict[str, str]:
    """Return the parts of a judge's message by their names: only markers with the key of the first one count."""
    first = MARKER.search(message)
    marks = [mark for mark in MARKER.finditer(message) if mark[1] == first[1]]
    ends = [mark.start() - 1 for mark in marks[1:]] + [len(message)]
    return {mark[2]: message[mark.end() + 1 : end] for mark, end in zip(marks, ends, strict=True)}


def judge_message(message: str) -> str:
    """Return a judge's answer: Y and the second word for every response that begins with "I prefer"."""
    blocks = read_blocks(message)
    verdicts = {}
    for name, text in blocks.items():
        if name.isdigit():
            yes = text.startswith("I prefer")
            choice = " ".join(text.split()[2:4]).strip(",.") if yes else ""
            verdicts[name] = {"choice": choice, "verdict": "Y" if yes else "N"}
    return orjson.dumps({"verdicts": verdicts, "summary": "the sea" if verdicts else ""}).decode()


class Provider:
    """The state of the stand-in, and its handler."""

    def __init__(
        self,
        *,
        answer: Answerer = judge_message,
        latency: float = 0.0,
        faults: Iterable[Fault | None] = (),
        batch_polls: int = 1,
        context: int | None = None,
        models: tuple[str, ...] = ("local-model",),
    ) -> None:
        """`faults` are used up one a model call; `batch_polls`: asked so often, a batch has ended."""
        self.answer = answer
        self.latency = latency
        self.faults: Iterator[Fault | None] = iter(faults)
        self.batch_polls = batch_polls
        self.context = context
        self.models = models
        self.calls: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.under_way = 0
        self.most_under_way = 0
        self.times: list[float] = []
        self.levels: list[int] = []
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.item_fate: Callable[[str, dict[str, Any]], str] = lambda custom_id, body: "succeeded"
        self.rewrite_results: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda lines: lines
        self.on_request: Callable[[HttpRequest], Reply | None] = lambda request: None
        self.after_batch: Callable[[], Reply | None] = lambda: None
        self.submitted: Counter[str] = Counter()
        """How often each message was submitted in a batch."""
        self.url = ""
        self._lock = threading.Lock()

    async def handle(self, request: HttpRequest) -> Reply:
        self.keys |= {request.headers.get("x-api-key", ""), request.headers.get("authorization", "")}
        if (reply := self.on_request(request)) is not None:
            return reply
        route = (request.method, request.path.removeprefix("/v1"))
        if route[0] == "POST" and route[1] in ("/chat/completions", "/messages"):
            return await self._call(request)
        if route == ("GET", "/models"):
            return json_reply(
                {
                    "object": "list",
                    "data": [
                        {
                            "id": name,
                            "object": "model",
                            "type": "model",
                            "display_name": name,
                            "created_at": "2026-01-01T00:00:00Z",
                        }
                        for name in self.models
                    ],
                    "has_more": False,
                }
            )
        if route[1].startswith("/messages/batches"):
            return self._anthropic_batch(request, route[1])
        if route[1].startswith(("/files", "/batches")):
            return self._openai_batch(request, route[1])
        return json_reply({"error": {"message": f"no route {request.path}"}}, 404)

    async def _call(self, request: HttpRequest) -> Reply:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.times.append(time.monotonic())
        self.levels.append(self.under_way)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            fault = next(self.faults, None)
            if fault is not None and (reply := fault(request)) is not None:
                if reply.delay:
                    await asyncio.sleep(reply.delay)
                return reply
            body = request.json()
            reply = self.reply(request.path, body)
            if reply.status == 200:
                self.calls.append(body)
            return reply
        finally:
            self.under_way -= 1

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        """Return what the model answers."""
        is_chat = path.endswith("completions")
        prompt = body["messages"][-1]["content"]
        if self.context is not None and len(prompt) > self.context:
            said = f"prompt is too long: {len(prompt)} tokens > {self.context} maximum"
            kind = {"type": "invalid_request_error", "message": said, "code": "context_length_exceeded"}
            return json_reply({"type": "error", "error": kind}, 400)
        return json_reply(chat_body(self.answer, body) if is_chat else message_body(self.answer, body))

    # Anthropic: POST batches, GET batches, GET batches/ID, GET batches/ID/results

    def _anthropic_batch(self, request: HttpRequest, path: str) -> Reply:
        if request.method == "POST":
            items = {each["custom_id"]: each["params"] for each in request.json()["requests"]}
            batch = self._begin(items, {})
            return self.after_batch() or json_reply(self._message_batch(batch))
        if path == "/messages/batches":
            for batch in self.batches.values():
                self._poll(batch)  # a batch goes on, whether it is listed or asked for
            listed = [self._message_batch(batch) for batch in reversed(self.batches.values())]
            return json_reply({"data": listed, "has_more": False, "first_id": None, "last_id": None})
        batch = self.batches[path.split("/")[3]]
        if path.endswith("/results"):
            return Reply(
                _lines(self.rewrite_results(self._results(batch, _anthropic_line))),
                content_type="application/x-jsonl",
            )
        self._poll(batch)
        return json_reply(self._message_batch(batch))

    def _message_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        ended = batch["polls"] >= self.batch_polls
        fates = Counter(batch["fates"].values()) if ended else Counter()
        counts = {name: fates[name] for name in ("succeeded", "errored", "expired", "canceled")}
        counts["processing"] = 0 if ended else len(batch["items"])
        return {
            "id": batch["id"],
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch["created"])),
            "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch["created"] + 86400)),
            "ended_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{batch['id']}/results" if ended else None,
        }

    # OpenAI: POST files, GET files/ID/content, POST batches, GET batches, GET batches/ID

    def _openai_batch(self, request: HttpRequest, path: str) -> Reply:
        if path == "/files":
            name = f"file-{len(self.files)}"
            self.files[name] = _uploaded(request)
            return json_reply(
                {
                    "id": name,
                    "object": "file",
                    "bytes": len(self.files[name]),
                    "created_at": int(time.time()),
                    "filename": "x.jsonl",
                    "purpose": "batch",
                    "status": "processed",
                }
            )
        if path.startswith("/files/"):
            return Reply(self.files[path.split("/")[2]], content_type="application/octet-stream")
        if request.method == "POST":
            asked = request.json()
            items = {
                each["custom_id"]: each["body"]
                for each in map(orjson.loads, self.files[asked["input_file_id"]].splitlines())
            }
            batch = self._begin(items, {"metadata": asked.get("metadata"), "input": asked["input_file_id"]})
            return self.after_batch() or json_reply(self._batch(batch))
        if path == "/batches":
            listed = [self._batch(batch) for batch in reversed(self.batches.values())]
            return json_reply({"object": "list", "data": listed, "has_more": False})
        batch = self.batches[path.split("/")[2]]
        self._poll(batch)
        return json_reply(self._batch(batch))

    def _batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        ended = batch["polls"] >= self.batch_polls
        if ended and "output" not in batch:
            lines = self.rewrite_results(self._results(batch, _openai_line))
            good = [
                line
                for line in lines
                if line["response"] is not None and line["response"]["status_code"] == 200
            ]
            bad = [line for line in lines if line not in good]
            batch["output"] = f"file-{len(self.files)}"
            self.files[batch["output"]] = _lines(good)
            batch["errors"] = f"file-{len(self.files)}"
            self.files[batch["errors"]] = _lines(bad)
        fates = Counter(batch["fates"].values()) if ended else Counter()
        status = "expired" if fates["expired"] else "completed"
        return {
            "id": batch["id"],
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": batch["input"],
            "completion_window": "24h",
            "status": status if ended else "in_progress",
            "output_file_id": batch.get("output"),
            "error_file_id": batch.get("errors"),
            "created_at": int(batch["created"]),
            "metadata": batch["metadata"],
            "request_counts": {
                "total": len(batch["items"]),
                "completed": fates["succeeded"],
                "failed": fates["errored"],
            },
        }

    def _begin(self, items: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            name = f"batch-{len(self.batches)}"
            fates = {custom_id: self.item_fate(custom_id, body) for custom_id, body in items.items()}
            self.batches[name] = {
                "id": name,
                "items": items,
                "fates": fates,
                "polls": 0,
                "created": time.time(),
                **rest,
            }
            for body in items.values():
                self.submitted[body["messages"][-1]["content"]] += 1
            return self.batches[name]

    def _poll(self, batch: dict[str, Any]) -> None:
        batch["polls"] += 1

    def _results(self, batch: dict[str, Any], line: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            line(custom_id, batch["fates"][custom_id], self.answer, body)
            for custom_id, body in batch["items"].items()
            if batch["fates"][custom_id] != "lost"
        ]


def message_body(answer: Answerer, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the Messages API. The system prompt is billed as read from the cache."""
    prompt = body["messages"][-1]["content"]
    text = answer(prompt)
    system = sum(len(block["text"]) for block in body.get("system", []))
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(prompt) // 4,
            "cache_read_input_tokens": system // 4,
            "cache_creation_input_tokens": 0,
            "output_tokens": max(1, len(text) // 4),
        },
    }


def chat_body(answer: Answerer, body: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion with n choices."""
    prompt = body["messages"][-1]["content"]
    texts = [answer(prompt) for _ in range(body.get("n", 1))]
    sent = sum(len(message["content"]) for message in body["messages"]) // 4
    used = max(1, sum(map(len, texts)) // 4)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [
            {
                "index": index,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": text},
            }
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": sent, "completion_tokens": used, "total_tokens": sent + used},
    }


def _anthropic_line(custom_id: str, fate: str, answer: Answerer, body: dict[str, Any]) -> dict[str, Any]:
    if fate == "succeeded":
        return {
            "custom_id": custom_id,
            "result": {"type": "succeeded", "message": message_body(answer, body)},
        }
    if fate in ("errored", "refused"):
        kind = "api_error" if fate == "errored" else "invalid_request_error"
        error = {"type": "error", "error": {"type": kind, "message": f"{fate} here"}}
        return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
    return {"custom_id": custom_id, "result": {"type": fate}}


def _openai_line(custom_id: str, fate: str, answer: Answerer, body: dict[str, Any]) -> dict[str, Any]:
    if fate == "succeeded":
        response = {"status_code": 200, "request_id": "r", "body": chat_body(answer, body)}
        return {"id": "b", "custom_id": custom_id, "response": response, "error": None}
    if fate in ("errored", "refused"):
        status = 500 if fate == "errored" else 400
        response = {"status_code": status, "request_id": "r", "body": {"error": {"message": f"{fate} here"}}}
        return {"id": "b", "custom_id": custom_id, "response": response, "error": None}
    error = {
        "code": "batch_expired",
        "message": "This request could not be executed before the batch expired.",
    }
    return {"id": "b", "custom_id": custom_id, "response": None, "error": error}


def _lines(values: Iterable[Any]) -> bytes:
    return b"".join(orjson.dumps(value) + b"\n" for value in values)


def _uploaded(request: HttpRequest) -> bytes:
    """Return the file in a multipart body."""
    boundary = b"--" + request.headers["content-type"].partition("boundary=")[2].encode()
    for part in request.body.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("no file in the upload")


class ProviderServer(LocalServer):
    """The stand-in on a free port."""

    def __init__(self, provider: Provider, *, port: int = 0) -> None:
        super().__init__(provider.handle, port=port)
        self.provider = provider

    def __enter__(self) -> ProviderServer:
        super().__enter__()
        self.provider.url = self.url
        return self


def main() -> None:
    """Serve until killed: `python -m servers.provider PORT LATENCY`."""
    provider = Provider(latency=float(sys.argv[2]))
    provider.answer = judge_message
    ProviderServer(provider, port=int(sys.argv[1])).serve_forever()


if __name__ == "__main__":
    main()
