"""What is learned: data readers, networks, training, evaluation, export."""
