"""What is watched: the flows' metrics, and how well the models do."""
