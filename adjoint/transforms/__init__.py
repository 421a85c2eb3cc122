"""What users call: derivatives, gradients attached to variables, checkpointing, gradient checking."""
