"""The work, as tasks.mjs has it."""

import math
import time


def identity(x):
    return x


def is_prime(n):
    if n < 2:
        return False
    if n == 2:
        return True
    if n % 2 == 0:
        return False

    sqrt_n = int(math.floor(math.sqrt(n)))
    for i in range(3, sqrt_n + 1, 2):
        if n % i == 0:
            return False
    return True


def spin(ms):
    # By the thread's own clock: what others do meanwhile is no work of this one.
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
    return ms


def block(ms):
    time.sleep(ms / 1000)
    return ms
