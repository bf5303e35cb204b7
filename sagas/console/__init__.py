"""The operator's pages of the engine: sagas, definitions and participants."""
