"""The user's copies of data sets: availability, comparison with the published data, and digests of the content."""
