"""What is predicted: the labels' definition and arithmetic, for training and for outcomes."""

from flows.targets.realizer import (
    NOTHING_HELD,
    LabelColumns,
    Realized,
    Realizer,
    label_columns,
    quantity,
    truth,
)

__all__ = [
    "NOTHING_HELD",
    "LabelColumns",
    "Realized",
    "Realizer",
    "label_columns",
    "quantity",
    "truth",
]
