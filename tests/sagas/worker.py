"""A worker to be killed: `python -m tests.sagas.worker` drives until then."""

import django

django.setup()

from sagas.engine.driver import Driver  # noqa: E402

if __name__ == "__main__":
    driver = Driver(batch_size=20, concurrency=8)
    while True:
        driver.drive(budget_s=0.2)
