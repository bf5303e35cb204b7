"""The operator's pages of dead letters."""
