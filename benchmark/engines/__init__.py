"""Engines, which run trials in this process, in a pool of processes, or on a Ray or Slurm cluster."""
