"""The steps of operations: verb and object, each safe to run twice. A docstring says: Does, Twice, Fails."""
