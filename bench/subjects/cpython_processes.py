"""The model: CPython's ProcessPoolExecutor."""

from concurrent.futures import ProcessPoolExecutor

from harness import run

if __name__ == "__main__":
    run(ProcessPoolExecutor, name="CPython", group="processes", kind="peer")
