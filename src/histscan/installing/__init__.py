"""install() and the classes that it puts in place of wandb's iterators: one for each constructor wandb has had."""
