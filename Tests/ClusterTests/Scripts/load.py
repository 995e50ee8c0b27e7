"""A program that writes in every way and notes what fsync acknowledged; and whether all of that is still there.

write DIR ACKS: until SIGTERM, after the write that has begun, or until the file system fails. DIR must be there, which the
directory below a mount that has gone is not. check DIR ACKS: exit status 1 when something acknowledged is missing.
A note is one line, written before (`try`) and after (`done`) the fsync: kind, name, number.
"""

import os
import random
import signal
import sys

SLOT = 4096


def content(kind, name, number):
    return (f"{kind} {name} {number}\n" * 400).encode()[:SLOT]


def write(directory, acks):
    notes = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    generator = random.Random(os.getpid())
    number = sum(1 for _ in open(acks))

    def note(state, kind, name):
        os.write(notes, f"{state} {kind} {name} {number}\n".encode())

    def synced(path, flags, data, offset=None):
        descriptor = os.open(path, flags, 0o644)
        if offset is None:
            os.write(descriptor, data)
        else:
            os.pwrite(descriptor, data, offset)
        os.fsync(descriptor)
        os.close(descriptor)

    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    try:
        while not ending:
            number += 1
            kind = generator.choice(["new", "slot", "replace", "append"])
            name = {"new": f"n{number}", "slot": f"s{generator.randrange(8)}", "replace": f"r{generator.randrange(4)}",
                    "append": f"a{generator.randrange(2)}"}[kind]
            path, data = os.path.join(directory, name), content(kind, name, number)
            note("try", kind, name)
            if kind == "new":
                synced(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, data)
            elif kind == "slot":
                synced(path, os.O_RDWR | os.O_CREAT, data, SLOT * 40 * (int(name[1:]) % 4))
            elif kind == "replace":
                synced(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, data)
                os.rename(path + ".new", path)
                descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
                os.fsync(descriptor)
                os.close(descriptor)
            else:
                synced(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, f"{number}\n".encode())
            note("done", kind, name)
    except OSError as error:
        print("stopped by", error)


def check(directory, acks):
    tried, done = {}, {}
    for line in open(acks):
        state, kind, name, number = line.split()
        if state == "try":
            tried.setdefault(name, []).append((kind, int(number)))
        else:
            done.setdefault(name, []).append((kind, int(number)))
    missing = []
    for name, acknowledged in done.items():
        path = os.path.join(directory, name)
        kind, last = acknowledged[-1]
        try:
            with open(path, "rb") as file:
                held = file.read()
        except OSError as error:
            missing.append(f"{name}: {error}")
            continue
        if kind == "append":
            lines = set(held.split(b"\n"))
            missing += [f"{name} lacks line {number}" for _, number in acknowledged if str(number).encode() not in lines]
            continue
        offset = SLOT * 40 * (int(name[1:]) % 4) if kind == "slot" else 0
        allowed = [content(kind, name, number) for _, number in tried[name] if number >= last]
        if held[offset:offset + SLOT] not in allowed:
            missing.append(f"{name} holds {held[offset:offset + 30]!r}, {last} was acknowledged")
    print(*missing[:20], sep="\n")
    if missing:
        print(f"{len(missing)} of {sum(map(len, done.values()))} acknowledged writes are missing")
    return 1 if missing else 0


if __name__ == "__main__":
    verb, directory, acks = sys.argv[1:]
    sys.exit(write(directory, acks) if verb == "write" else check(directory, acks))
