"""Trees: making one with everything a file system has, and telling whether several are the same."""

import hashlib
import json
import os
import random
import stat
import sys
import time


def describe(path):
    """What must be the same of one name on every node; hard links are told by their first name."""
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    answer = {"mode": oct(status.st_mode), "owner": [status.st_uid, status.st_gid]}
    if kind == stat.S_IFLNK:
        answer["target"] = os.readlink(path).hex()
        return status, answer
    if kind == stat.S_IFREG:
        answer["size"] = status.st_size
        answer["modified"] = status.st_mtime_ns
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        answer["content"] = digest.hexdigest()
    names = [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("user.grapevine.")]
    answer["attributes"] = {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}
    return status, answer


def manifest(root):
    root = os.fsencode(root)
    entries, links = {}, {}

    def visit(directory, prefix):
        for name in sorted(os.listdir(directory)):
            path, relative = os.path.join(directory, name), prefix + name
            try:
                status, answer = describe(path)
            except FileNotFoundError:
                entries[relative.hex()] = {"gone": True}
                continue
            if stat.S_ISDIR(status.st_mode):
                visit(path, relative + b"/")
            elif status.st_nlink > 1:
                answer["link"] = links.setdefault(status.st_ino, relative).hex()
            entries[relative.hex()] = answer

    visit(root, b"")
    return entries


def differences(roots):
    first = manifest(roots[0])
    found = []
    for root in roots[1:]:
        other = manifest(root)
        for name in sorted(first.keys() | other.keys()):
            if first.get(name) != other.get(name):
                shown = bytes.fromhex(name).decode(errors="backslashreplace")
                found.append(f"{shown}: {json.dumps(first.get(name))} in {roots[0]}, {json.dumps(other.get(name))} in {root}")
    return found, len(first)


def wait(seconds, roots):
    """Until all trees are the same, twice in a row, so that none is caught in the middle of a change."""
    end = time.monotonic() + seconds
    equal = 0
    while True:
        try:
            found, count = differences(roots)
        except OSError as error:
            found, count = [str(error)], 0
        equal = equal + 1 if not found else 0
        if equal == 2:
            print(count)
            return 0
        if time.monotonic() > end:
            print(f"{len(found)} differences after {seconds} s:", *found[:12], sep="\n  ")
            return 1
        time.sleep(0.1)


def make(root, seed):
    """A tree with every kind of thing, its content drawn from the seed."""
    generator = random.Random(seed)
    root = os.fsencode(root)
    os.makedirs(root, exist_ok=True)

    def write(name, content):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    for index in range(60):
        size = generator.choice([0, 1, 100, 4095, 4096, 4097, 20_000, 131_071, 131_072, 131_073, 400_000])
        path = write(b"src/%d/%d.bin" % (index % 7, index), generator.randbytes(size))
        os.chmod(path, generator.choice([0o644, 0o600, 0o755, 0o444, 0o4755, 0o000]))
        if index % 5 == 0:
            os.chown(path, 1000 + index, 2000 + index)
        if index % 4 == 0:
            os.setxattr(path, b"user.note", generator.randbytes(40))
            os.setxattr(path, b"user.empty", b"")
        os.utime(path, ns=(1_600_000_000_123_456_789 + index, 1_500_000_000_987_654_321 - index))
    write(b"big", generator.randbytes(5_000_000))
    for number in range(4):
        os.link(os.path.join(root, b"src/1/1.bin"), os.path.join(root, b"link-%d" % number))
    os.symlink(b"src/2/2.bin", os.path.join(root, b"to-file"))
    os.symlink(b"nowhere/at/all", os.path.join(root, b"dangling"))
    os.symlink(b"x" * 1000, os.path.join(root, b"long-target"))
    os.symlink(b"..", os.path.join(root, b"up"))
    os.mkfifo(os.path.join(root, b"fifo"), 0o640)
    sparse = write(b"sparse", b"")
    with open(sparse, "r+b") as file:
        file.seek(50_000_000)
        file.write(b"the end")
        file.seek(10_000_000)
        file.write(b"an island")
    write(b"n" * 255, b"a name of 255 bytes")
    write(b"not \xff\xfe utf-8 \n line", b"a name that is not text")
    write("Grüße, 葡萄".encode(), b"a name that is")
    os.makedirs(os.path.join(root, b"empty/in/empty"))
    os.chmod(os.path.join(root, b"empty"), 0o1777)
    deep = b"/".join(b"d%d" % level for level in range(40))
    write(b"deep/" + deep + b"/leaf", b"forty levels down")


if __name__ == "__main__":
    verb = sys.argv[1]
    if verb == "make":
        make(sys.argv[2], int(sys.argv[3]))
    elif verb == "wait":
        sys.exit(wait(float(sys.argv[2]), sys.argv[3:]))
    else:
        sys.exit(f"unknown verb {verb}")
