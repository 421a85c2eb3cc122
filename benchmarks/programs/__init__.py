"""The workloads: one file each, with the mathematics in its head and a list PROGRAMS."""
