"""Where history lives: one module per place; each hands raw bytes on and decodes nothing."""
