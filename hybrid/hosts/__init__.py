"""Climate models of others that take an Emagram model file as one of their own processes."""
