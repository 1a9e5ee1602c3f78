"""What a subject that runs Python does when the driver starts it: as harness.mjs."""

import gc
import json
import sys
import time
from statistics import median

import tasks

WORKERS = 2
PRIMES = [
    112272535095293,
    112582705942171,
    112272535095293,
    115280095190773,
    115797848077099,
    1099726899285419,
]
MIB = 1024 * 1024
# What would take longer is left out of row m, in milliseconds.
BEARABLE = 60_000


def timed(fn):
    start = time.perf_counter()
    result = fn()
    return (time.perf_counter() - start) * 1000, result


def call(executor, task, arg):
    return executor.submit(task, arg).result()


def call_all(executor, task, args):
    futures = [executor.submit(task, arg) for arg in args]
    return [future.result() for future in futures]


def map_all(executor, task, args):
    return list(executor.map(task, args))


def warm(open_pool):
    executor = open_pool(WORKERS)
    call_all(executor, tasks.block, [50] * WORKERS)
    return executor


def mixed_durations():
    random = 1
    durations = []
    for _ in range(2000):
        random = random * 16807 % 2147483647
        durations.append(5 if random % 10 == 0 else 0.05)
    return durations


def catalogue():
    items = [
        {
            "id": id,
            "name": f"The name of record {id}",
            "price": id / 8,
            "tags": ["red", "green", "blue"],
            "on": id % 2 == 0,
        }
        for id in range(1000)
    ]
    return {"title": "A catalogue", "items": items}


def row_a(open_pool):
    with warm(open_pool) as executor:
        call_all(executor, tasks.identity, range(2000))
        args = range(20_000)
        ms, results = timed(lambda: call_all(executor, tasks.identity, args))
        assert results == list(args)
    return {"a": ms * 1000 / len(args)}


def row_b(open_pool):
    with warm(open_pool) as executor:
        times = [
            timed(lambda: call(executor, tasks.identity, i))[0] for i in range(3000)
        ]
    return {"b": median(times[1000:]) * 1000}


def row_c(open_pool):
    with warm(open_pool) as executor:
        map_all(executor, tasks.identity, range(2000))
        args = range(100_000)
        ms, results = timed(lambda: map_all(executor, tasks.identity, args))
        assert results == list(args)
    return {"c": ms * 1000 / len(args)}


def row_d(open_pool):
    def inline():
        return [tasks.is_prime(n) for n in PRIMES]

    alone = [timed(inline)[0] for _ in range(3)]
    with warm(open_pool) as executor:
        together = [
            timed(lambda: map_all(executor, tasks.is_prime, PRIMES))[0]
            for _ in range(3)
        ]
    return {"d": median(alone) / median(together)}


def row_e(open_pool):
    durations = mixed_durations()
    with warm(open_pool) as executor:
        call_all(executor, tasks.spin, durations[:200])
        ms, _ = timed(lambda: call_all(executor, tasks.spin, durations))
    return {"e": ms / (sum(durations) / WORKERS)}


def row_f(open_pool):
    value = bytes([7]) * (64 * MIB)
    times = []
    with warm(open_pool) as executor:
        for _ in range(4):
            ms, result = timed(lambda: call(executor, tasks.identity, value))
            assert len(result) == len(value) and result[-1] == 7
            times.append(ms)
    return {"f": median(times[1:])}


def row_g(open_pool):
    value = catalogue()
    with warm(open_pool) as executor:
        call_all(executor, tasks.identity, [value] * 20)
        args = [value] * 200
        ms, results = timed(lambda: call_all(executor, tasks.identity, args))
        assert all(result["items"][999]["price"] == 999 / 8 for result in results)
    return {"g": ms / len(args)}


def row_h(open_pool):
    with open_pool(1) as executor:
        assert call(executor, tasks.identity, 1) == 1
        tell({"figures": {}})


def row_i(open_pool):
    executor = warm(open_pool)
    call_all(executor, tasks.identity, range(2000))
    weigh("idle")
    kept = [executor.submit(tasks.block, 600_000) for _ in range(WORKERS)]
    time.sleep(0.1)
    for n in range(200_000):
        kept.append(executor.submit(tasks.identity, n))
    weigh("waiting")
    tell({"figures": {}, "kept": len(kept)})
    kept[0].result()


def row_m(open_pool):
    figures = {}
    with warm(open_pool) as executor:
        call_all(executor, tasks.identity, range(2000))
        began = time.perf_counter()
        last = per_call = None
        for i, count in enumerate([1_000, 10_000, 100_000, 1_000_000]):
            if per_call is not None:
                # As much worse again as it got before.
                worse = max(1, per_call / last) if last else 1
                spent = (time.perf_counter() - began) * 1000
                if per_call * worse * count / 1000 > BEARABLE - spent:
                    break
            last = per_call
            args = range(count)
            times = []
            for _ in range(max(1, 20_000 // count)):
                ms, results = timed(lambda: call_all(executor, tasks.identity, args))
                assert results == list(args)
                times.append(ms)
            per_call = figures[f"m{i + 1}"] = median(times) * 1000 / count
    return figures


ROWS = {name[4:]: fn for name, fn in list(globals().items()) if name[:4] == "row_"}


def tell(message):
    print(json.dumps(message), flush=True)


def weigh(label):
    gc.collect()
    time.sleep(0.05)
    tell({"weigh": label})
    sys.stdin.readline()


def run(open_pool, skips={}, **subject):
    """Runs the row that this program was started for."""
    row = sys.argv[1]
    if row == "describe":
        return tell({"subject": {**subject, "skips": skips}})
    figures = ROWS[row](open_pool)
    if figures:
        tell({"figures": figures})
