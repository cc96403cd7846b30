"""Runs on a W&B server, by name: the habits of those who use ``wandb.Api()``, without wandb."""
