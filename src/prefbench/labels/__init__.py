"""Labels by people: a random draw of responses in, a file of their verdicts out."""

from prefbench.labels.draw import draw_items
from prefbench.labels.lines import Label, LabelItem, LabelKey, Mark, read_labels
from prefbench.labels.session import LabelSession, open_session

__all__ = [
    "Label",
    "LabelItem",
    "LabelKey",
    "LabelSession",
    "Mark",
    "draw_items",
    "open_session",
    "read_labels",
]
