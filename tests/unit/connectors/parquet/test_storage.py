"""Several processes change the state of one partition: each change is made by one of them."""

import time
from concurrent.futures import ThreadPoolExecutor

from flows.connectors.parquet.catalog import read_state
from flows.connectors.parquet.storage import LocalStorage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.errors import FencedError
from schemas import topics


class Slow(LocalStorage):
    """A storage that lets others come between comparing and replacing."""

    def put(self, path: str, content: bytes | memoryview) -> None:
        time.sleep(0.05)
        super().put(path, content)


def test_of_members_that_take_a_partition_over_at_the_same_moment_each_has_its_own_epoch(tmp_path):
    begin = Beginning(0, "log")

    def take_over(_number: int) -> bool:
        writer = ArchiveWriter(Slow(tmp_path), topics.TICKS_RAW, 0, begin, lambda: begin)
        try:
            writer.take_over()
        except FencedError:
            return False
        finally:
            writer.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        owners = sum(pool.map(take_over, range(4)))
    state = read_state(LocalStorage(tmp_path), topics.TICKS_RAW, 0)
    assert state is not None
    assert 1 <= owners == state.epoch
