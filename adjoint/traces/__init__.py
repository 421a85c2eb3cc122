"""Four interpretations of ops: Tape (reverse), Dual (forward), Batch (vmap), Capture (graph)."""
