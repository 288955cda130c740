"""Where vLLM's own words go: a log file, so that stdout is kept for results and stderr for what matters."""

from __future__ import annotations

import atexit
import logging.config
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import orjson

_FAULT = re.compile(r"\b([A-Za-z_.]*(?:Error|Exception)): (.+)")
_EMPTY_WORDS = (
    "Engine core initialization failed",
    "EngineCore encountered",
    "EngineDeadError",
    "See root cause",
)


@cache
def engine_log() -> EngineLog:
    """Return this process's log. Must be asked for before vllm is imported: its processes take the path over."""
    return EngineLog()


class EngineLog:
    """The log of this process's engines; deleted at its end if none of them had a fault."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="prefbench-vllm-", suffix=".log")
        os.close(handle)
        self.path = Path(name)
        atexit.register(self._discard)
        self._configure()

    def keep(self) -> None:
        """Leave the log where it is: somebody has been told to read it."""
        atexit.unregister(self._discard)

    def _configure(self) -> None:
        """Send the log lines of vLLM's processes here, unless the environment sends them elsewhere."""
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("DO_NOT_TRACK", "1")
        if any(name in os.environ for name in ("VLLM_LOGGING_CONFIG_PATH", "VLLM_CONFIGURE_LOGGING")):
            return
        settings = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(levelname)s %(asctime)s %(name)s: %(message)s"}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(self.path),
                    "formatter": "plain",
                    "encoding": "utf-8",
                }
            },
            "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
        }
        path = self.path.with_suffix(".json")
        path.write_bytes(orjson.dumps(settings))
        atexit.register(path.unlink, missing_ok=True)
        os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(path)
        logging.config.dictConfig(settings)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Within the block, what this process and its children print goes to the log.

        Children started in the block write there as long as they live.
        """
        kept = [os.dup(1), os.dup(2)]
        log = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        _flush()
        try:
            os.dup2(log, 1)
            os.dup2(log, 2)
            yield
        finally:
            _flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            os.close(log)

    def root_cause(self) -> str | None:
        """Return the first fault in the log that says what happened: later ones only say that something did."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        for kind, message in _FAULT.findall(text):
            if not any(words in message for words in _EMPTY_WORDS):
                return f"{kind.rsplit('.', 1)[-1]}: {message.strip()}"
        return None

    def _discard(self) -> None:
        self.path.unlink(missing_ok=True)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
