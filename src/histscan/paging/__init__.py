"""Which pages a scan requests, and when: windows of steps, prefetching, deadlines and progress."""
