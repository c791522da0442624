"""Who the machines are: SPIFFE names, SVIDs and mutual TLS."""
