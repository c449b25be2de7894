"""Generated faces: drawings with known identity, action units, pose, light and image quality, and simulated labels."""
