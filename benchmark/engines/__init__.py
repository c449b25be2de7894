"""Where trials run: this process, a pool, a Ray or a Slurm cluster."""
