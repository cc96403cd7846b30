"""What install() puts in the place of wandb's iterators: one class for each constructor that wandb has had."""
