"""What a run tells beside its history: state, metadata, system metrics, console output."""
