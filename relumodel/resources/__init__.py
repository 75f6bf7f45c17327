"""What a call may use: time (one deadline), memory, threads; and how it tells of its progress."""
