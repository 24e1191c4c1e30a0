"""What was met before is known again, in few bytes."""

from __future__ import annotations

import random
import threading
import tracemalloc

from kerasprov_agent.capture.files.marks import Marks


def test_it_is_a_set_of_numbers() -> None:
    generator, known, found = random.Random(3), Marks(), set[int]()
    for _ in range(50_000):
        number = generator.randrange(2, 20_000) * generator.choice((-1, 1)) << generator.choice(
            (0, 1, 40)
        )
        assert known.add(number) is (number not in found)
        found.add(number)
    known.clear()
    assert known.add(7) and not known.add(7)


def test_a_number_takes_few_bytes() -> None:
    numbers = [hash((f"/data/{i}.png", i)) for i in range(100_000)]
    tracemalloc.start()
    known = Marks()
    for number in numbers:
        known.add(number)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 25 * len(numbers)


def test_there_is_a_bound() -> None:
    known = Marks(limit=4096)
    for number in range(1, 20_001):
        assert known.add(number)
    assert len(known._table) <= 4096
    assert not known.add(20_000)  # the newest are known


def test_threads_add_at_once() -> None:
    known, numbers = Marks(), range(1, 40_001)

    def add() -> None:
        for number in numbers:
            known.add(number)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for number in numbers:
        known.add(number)
    assert not any(known.add(number) for number in numbers)
