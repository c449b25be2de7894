"""Pictures from disk: decoding, videos, landmarks, alignment, pools of crops."""
