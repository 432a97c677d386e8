"""What the operating system gives a process: signals, locks on files, a place for temporary files.

Any room may use it. What only some systems have is found out here, and nowhere else but in
:mod:`flows.local`, which starts and ends processes.
"""
