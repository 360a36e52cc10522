"""The comparison of systems on one store: Tables II and III of the paper, by one command."""
