"""The manager's log: one JSON object a line in DIR/log/manager.log, ours and the libraries' alike."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

import structlog

FILE_BYTES_MAX = 10 << 20
FILES_KEPT = 5


def set_up(path: Path, level: str) -> None:
    """Send everything of that level and above to the file, which is rolled at 10 MiB."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT)
    renderer = structlog.processors.JSONRenderer()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn.access", "dbos"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
