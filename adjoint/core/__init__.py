"""The mechanism: Op, Trace, Tensor, bind. Knows no mathematics, only how an operation finds its interpreter."""
