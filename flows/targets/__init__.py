"""Compute what is predicted: the same labels for training and for outcomes."""

from flows.targets.realize import Realize, label_kernel
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
    "Realize",
    "Realized",
    "Realizer",
    "label_columns",
    "label_kernel",
    "quantity",
    "truth",
]
