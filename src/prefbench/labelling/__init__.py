"""Labels by people: a random draw of responses in, a file of their verdicts out."""

from prefbench.labelling.draw import draw_items
from prefbench.labelling.lines import Label, LabelItem, LabelKey, Mark, read_labels
from prefbench.labelling.session import LabelSession, open_session

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
