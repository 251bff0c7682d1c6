"""From a checkpoint to a model directory: opened, exported, proved equal to PyTorch. With torch and transformers."""
