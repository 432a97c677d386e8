"""What lies between a process and its system: signals, exit codes, locks, temporary files.

Any room may use it. What only some systems have is found out here, and nowhere else but in
:mod:`flows.local`, which starts and ends processes.
"""
