"""The papers' printed tables and figures, beside what was measured."""
