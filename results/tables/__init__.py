"""Tables of a protocol, and how they are printed."""
