from schemas.features import FEATURES, INDEX, NAMES


def test_names_are_unique_and_indexed_in_order():
    assert len(set(NAMES)) == len(NAMES) == len(FEATURES)
    assert [INDEX[name] for name in NAMES] == list(range(len(NAMES)))


def test_every_feature_says_what_it_is():
    for feature in FEATURES:
        assert feature.unit
        assert feature.formula
        assert feature.low < feature.high


def test_windows_in_names_are_the_fine_and_the_coarse_ones():
    windows = {1, 5, 30, 60, 300} | {60, 300, 900, 3600}
    for name in NAMES:
        numbers = [int(part) for part in name.split("_") if part.isdigit()]
        assert set(numbers) <= windows, name
