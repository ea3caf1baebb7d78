"""The composition root: the only room that knows everyone."""

from agent.app.main import run_agent

__all__ = ["run_agent"]
