"""What is right: one module for each target in Python, also used by tests/fuzzing without a fuzzer."""
