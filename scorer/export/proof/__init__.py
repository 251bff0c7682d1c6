"""Is the exported graph still the model?"""
