"""From captured graphs to native code."""
