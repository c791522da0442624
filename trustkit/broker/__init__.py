"""The key broker face."""
