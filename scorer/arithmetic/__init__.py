"""Pure functions on arrays: batches, losses, fidelity, agreement; numpy only."""
