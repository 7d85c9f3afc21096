"""Training: one loop for networks from scratch, fine-tuning and pretext tasks."""
