"""One contender in a process of its own: ``python -m bench.worker WORKLOAD CONTENDER``.

For each line with a number of calls on standard input, makes them and answers their seconds a call.
The first answer holds value and gradient, to be compared.
"""

import json
import sys
import time

from bench.workloads import WORKLOADS


def main():
    workload, contender = sys.argv[1:]
    step, check = WORKLOADS[workload][contender]()
    print(json.dumps(check(step()).tolist()), flush=True)
    for line in sys.stdin:
        calls = int(line)
        start = time.perf_counter()
        for _ in range(calls):
            step()
        print(json.dumps((time.perf_counter() - start) / calls), flush=True)


if __name__ == "__main__":
    main()
