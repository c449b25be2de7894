"""Generated faces: drawings whose muscles, cameras and labellers are known."""
