"""Whether a text is in the files beneath a path of a mount, or in the bytes of a conflict that lost its place there."""

import json
import os
import subprocess
import sys

binary, socket, mount, path, text = sys.argv[1:]
wanted = text.encode()


def grapevine(*arguments):
    return subprocess.run([binary, *arguments, "--admin", socket], check=True, capture_output=True).stdout


def in_tree():
    for directory, _, names in os.walk(os.path.join(mount, path)):
        for name in names:
            with open(os.path.join(directory, name), "rb") as file:
                if wanted in file.read():
                    return True
    return False


def in_conflicts():
    for conflict in json.loads(grapevine("conflicts", "list", "--json")):
        if conflict["path"].strip("/").startswith(path + "/") and wanted in grapevine("conflicts", "show", conflict["id"]):
            return True
    return False


print("found" if in_tree() or in_conflicts() else "missing")
