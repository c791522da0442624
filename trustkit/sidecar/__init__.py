"""The weight-fetch sidecar face."""
