"""What `import fernoise_bench as fb` offers: records as data frames, comparisons, faces of a protocol, runs."""
