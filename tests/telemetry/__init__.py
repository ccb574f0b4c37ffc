"""What the node tells of itself: metrics."""
