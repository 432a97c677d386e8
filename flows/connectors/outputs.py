"""What the sinks take: the outputs of a batch, as ``flows.codec.outputs`` holds them."""

from flows.codec.outputs import Latest, OutputBatch, Records

__all__ = ["Latest", "OutputBatch", "Records"]
