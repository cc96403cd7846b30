"""install(), and the classes that replace wandb's iterators: one for each constructor that wandb has had."""
