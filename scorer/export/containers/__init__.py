"""What people have fine-tuned models in, each kind read by a module of its own, all giving the same `Contents`."""
