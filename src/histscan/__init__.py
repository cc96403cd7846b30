"""histscan: the fastest way to read Weights & Biases run history."""
