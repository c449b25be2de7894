"""Trained models: rebuilt from kept weights, for predictions and for export."""
