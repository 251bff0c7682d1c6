"""The model directory and what runs it: tokens, sessions, batches to logits. Without torch."""
