"""Writes one line per record: time, level, component, a constant message, and fields as key=value.

    log = logs.logger(__name__)
    log.info("pod created", pod="default/web-1", node="worker-1")

Plain `logging` with `extra={...}` gives the same lines.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import time
from typing import Any

LOG_FILE_BYTES = 32 * 1024 * 1024  # a full file becomes FILE.1; the FILE.1 before it is lost
DEBUG_VERBOSITY = 4

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class FieldLogger:
    """A logger whose keyword arguments become the record's fields."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, /, **fields: object) -> None:
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        self._log(logging.ERROR, message, fields)

    def exception(self, message: str, error: BaseException, /, **fields: object) -> None:
        """Logs an error that should not happen, with its traceback."""
        self._log(logging.ERROR, message, fields, error)

    def _log(self, level: int, message: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={"fields": fields}, exc_info=error)


def logger(name: str) -> FieldLogger:
    return FieldLogger(name)


class LineFormatter(logging.Formatter):
    """`2026-01-31T10:00:00.123Z INFO kubelet pod created pod=default/web-1`; a traceback follows on its own lines."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        level = _LEVELS.get(record.levelname, record.levelname)
        parts = [f"{seconds}.{int(record.msecs):03}Z", level, self._component, record.getMessage()]
        extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        fields: dict[str, Any] = extra.pop("fields", {})
        fields = extra | fields
        parts += [f"{key}={_quoted(value)}" for key, value in fields.items()]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _quoted(value: object) -> str:
    """Quotes a value unless it reads well bare: a line stays one line and can be split at spaces."""
    text = value if isinstance(value, str) else str(value)
    if text and text.isprintable() and not any(char in text for char in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)


def setup(component: str, file: str = "", verbosity: int = 0) -> None:
    """Sends all logging of this process to `file`, or to standard error without one."""
    handler: logging.Handler
    if file:
        os.makedirs(os.path.dirname(os.path.abspath(file)), exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_FILE_BYTES, backupCount=1, encoding="utf-8")
    else:
        handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(component))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbosity >= DEBUG_VERBOSITY else logging.INFO)
    for chatty in ("uvicorn", "httpx", "urllib3", "docker", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
