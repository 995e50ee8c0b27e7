#!/usr/bin/env python3
# A database whose every committed state proves itself: writing it, and checking that nobody ever sees anything else.
import hashlib
import os
import random
import sqlite3
import sys
import time

ROWS = 40


def connect(path):
    """Opens a database that is there."""
    return sqlite3.connect("file:%s?mode=rw" % path, timeout=60, isolation_level=None, uri=True)


def digest(connection):
    total = hashlib.sha1()
    for row in connection.execute("SELECT id, n, data FROM item ORDER BY id"):
        total.update(repr(row).encode())
    return total.hexdigest()


def state(connection):
    """The number of the committed state that is seen; fails when it is none."""
    connection.execute("BEGIN")
    try:
        found = connection.execute("SELECT n, digest FROM state").fetchone()
        seen = digest(connection)
    finally:
        connection.execute("ROLLBACK")
    if found is None:
        return 0
    if found[1] != seen:
        raise SystemExit("state %d was never committed: it holds %s, not %s" % (found[0], seen, found[1]))
    return found[0]


def make(path, mode, page_size=4096):
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA page_size=%d" % int(page_size))
    connection.execute("PRAGMA journal_mode=%s" % mode).fetchall()
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE state (one INTEGER PRIMARY KEY, n INTEGER, digest TEXT)")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER, data TEXT)")
    connection.executemany("INSERT INTO item VALUES (?, 0, '')", [(i,) for i in range(ROWS)])
    connection.execute("INSERT INTO state VALUES (1, 1, ?)", (digest(connection),))
    connection.execute("COMMIT")
    connection.close()


def step(connection, generator):
    connection.execute("BEGIN IMMEDIATE")
    n = connection.execute("SELECT n FROM state").fetchone()[0] + 1
    for _ in range(generator.randint(1, 8)):
        row = (n, "%x" % generator.getrandbits(4 * generator.randint(1, 6000)), generator.randrange(ROWS))
        connection.execute("UPDATE item SET n = ?, data = ? WHERE id = ?", row)
    connection.execute("UPDATE state SET n = ?, digest = ?", (n, digest(connection)))
    connection.execute("COMMIT")
    return n


def write(path, mode, synchronous, seconds, acknowledged):
    """Commits for so long, or until the node dies, noting each state after its commit returned."""
    try:
        connection = connect(path)
        connection.execute("PRAGMA journal_mode=%s" % mode).fetchall()
    except sqlite3.Error:
        if os.path.exists(path):
            raise
        return
    connection.execute("PRAGMA synchronous=%s" % synchronous)
    generator = random.Random(os.getpid())
    end = time.time() + float(seconds)
    with open(acknowledged, "a") as log:
        while time.time() < end:
            try:
                n = step(connection, generator)
            except sqlite3.Error as error:
                # The mount is gone with its node.
                if not os.path.exists(path) or "disk I/O" in str(error) or "unable to open" in str(error):
                    return
                raise
            log.write("%d\n" % n)
            log.flush()
    connection.close()


def read(path, seconds):
    """Reads for so long; every state seen must have been committed, and none comes back."""
    connection = connect(path)
    end = time.time() + float(seconds)
    last = count = 0
    while time.time() < end:
        n = state(connection)
        if n < last:
            raise SystemExit("state %d was seen after %d" % (n, last))
        last = n
        count += 1
    print(count, last)


def check(path, acknowledged=None, strict="strict"):
    """Prints the state; it must be whole, and with a log of acknowledgements the last one, or the one after it."""
    connection = connect(path)
    n = state(connection)
    integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if integrity != "ok":
        raise SystemExit(integrity)
    if acknowledged and os.path.exists(acknowledged):
        noted = [int(line) for line in open(acknowledged) if line.endswith("\n")]
        if strict == "strict" and noted and not noted[-1] <= n <= noted[-1] + 1:
            raise SystemExit("state %d after %d was acknowledged" % (n, noted[-1]))
    print(n)


def wait(path, n, seconds):
    """Waits until a state is there."""
    end = time.time() + float(seconds)
    seen = None
    while time.time() < end:
        try:
            connection = connect(path)
            seen = state(connection)
            connection.close()
            if seen == int(n):
                return
        except sqlite3.Error as error:
            seen = error
        time.sleep(0.05)
    raise SystemExit("waited for state %s, but saw %s" % (n, seen))


if __name__ == "__main__":
    commands = {"make": make, "write": write, "read": read, "check": check, "wait": wait}
    commands[sys.argv[1]](*sys.argv[2:])
