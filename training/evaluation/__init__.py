"""How good a model is: folds, metrics, intervals, leak alarms and the gate for champions."""
