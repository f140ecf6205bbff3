"""Looking into a directory store from outside: only by the layout that design.md promises."""

import json
import os

TOP = (1 << 64) - 1


class DirectoryStore:
    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)

    @property
    def url(self):
        return "file://" + self.path

    def keys(self, under=""):
        """Every object's key, sorted. A file that is only being written has no key yet: its name starts with a dot."""
        found = []
        for folder, _folders, files in os.walk(self.path):
            for name in files:
                key = os.path.relpath(os.path.join(folder, name), self.path)
                if key.startswith(under) and not any(part.startswith(".") for part in key.split("/")):
                    found.append(key)
        return sorted(found)

    def read(self, key):
        with open(os.path.join(self.path, key), "rb") as file:
            return file.read()

    def write(self, key, content):
        """Overwrites an object: for tests that damage the store."""
        with open(os.path.join(self.path, key), "wb") as file:
            file.write(content)

    def delete(self, key):
        os.unlink(os.path.join(self.path, key))

    @property
    def is_empty(self):
        """The probe does not count."""
        return not [key for key in self.keys() if key != "probe"]

    def identity(self):
        """holdfast.json"""
        return json.loads(self.read("holdfast.json"))

    def positions(self):
        """Of the loose records, oldest first."""
        return sorted(TOP - int(key.split("/")[1].split(".")[0], 16) for key in self.keys("log/"))

    def head(self):
        return max(self.positions(), default=0)
