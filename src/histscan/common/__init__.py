"""What every part may use: the step of a row, values and locks that survive forks, files that land whole."""
