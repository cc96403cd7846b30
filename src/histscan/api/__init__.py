"""Runs on a W&B server, by name: used like ``wandb.Api()``, without wandb."""
