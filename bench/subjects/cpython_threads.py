"""The model: CPython's ThreadPoolExecutor."""

from concurrent.futures import ThreadPoolExecutor

from harness import run

if __name__ == "__main__":
    run(
        ThreadPoolExecutor,
        name="CPython",
        group="threads",
        kind="peer",
        skips={
            "f": "threads share their memory: nothing is copied",
            "g": "threads share their memory: nothing is copied",
        },
    )
