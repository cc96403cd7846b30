"""Which pages a scan asks for, and when: windows of steps, pages fetched ahead, deadlines and progress."""
