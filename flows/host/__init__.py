"""What lies between a process and its system: signals, processes, locks, folders, exit codes.

Any room may use it. What only some systems have is called here and nowhere else, and each function
says what it does where the system lacks it.
"""
