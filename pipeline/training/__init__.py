"""Training: truncated BPTT, checkpoints that survive anything, one device or many machines."""
