"""How a flow starts, owns its partitions and ends: settings to sources, sinks and exit codes."""
