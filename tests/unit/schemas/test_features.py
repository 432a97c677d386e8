from schemas.features import COARSE_WINDOWS_S, FEATURES, FINE_WINDOWS_S, INDEX, NAMES


def test_names_are_unique_and_indexed_in_order():
    assert len(set(NAMES)) == len(NAMES) == len(FEATURES)
    assert [INDEX[name] for name in NAMES] == list(range(len(NAMES)))


def test_every_feature_says_what_it_is():
    for feature in FEATURES:
        assert feature.unit
        assert feature.formula
        assert feature.low < feature.high


def test_windows_in_names_are_windows_of_the_contract():
    windows = {*FINE_WINDOWS_S, *COARSE_WINDOWS_S}
    for name in NAMES:
        numbers = [int(part) for part in name.split("_") if part.isdigit()]
        assert set(numbers) <= windows, name
