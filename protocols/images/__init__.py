"""Images: decoding of pictures and videos, facial landmarks, alignment, and pools of images."""
