"""What runs coupled: command line, configuration, demo and report."""
