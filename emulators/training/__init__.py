"""Training: objectives, samples and the loop."""
