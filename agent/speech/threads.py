"""The threads of speech: a hanging name server must not keep a warning from being spoken."""

from __future__ import annotations

from agent.threads import Workers

WORKERS = Workers("speech", 3)
