"""Layout of boards: a page and a board in, screens out; pure, text measured by a `Type` handed in."""

from agent.signage.layout.compose import compose
from agent.signage.layout.flow import SCREENS, Type
from agent.signage.layout.pattern import PATTERNS
from agent.signage.layout.shape import shape_of

__all__ = ["PATTERNS", "SCREENS", "Type", "compose", "shape_of"]
