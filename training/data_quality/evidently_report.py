"""Run Evidently over two Parquet files; runs in Evidently's own environment, without our code.

``python evidently_report.py REFERENCE CURRENT HTML JSON MUCH``, MUCH being the PSI from which on a
column has drifted.
"""

import os
import sys

REFERENCE, CURRENT, HTML, JSON, MUCH = range(1, 6)


def main() -> None:
    """Write the page and the figures of data quality and drift."""
    os.environ["DO_NOT_TRACK"] = "1"
    # Here, not above: Evidently asks the variable when it is imported.
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    frames = [pd.read_parquet(sys.argv[number]) for number in (REFERENCE, CURRENT)]
    definition = DataDefinition(numerical_columns=list(frames[0].columns))
    reference, current = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in frames
    )
    drift = DataDriftPreset(num_method="psi", num_threshold=float(sys.argv[MUCH]))
    made = Report([drift, DataSummaryPreset()]).run(current_data=current, reference_data=reference)
    made.save_html(sys.argv[HTML])
    made.save_json(sys.argv[JSON])


if __name__ == "__main__":
    main()
