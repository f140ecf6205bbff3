"""An application with a database for each tenant, beside the backend's own."""

import os
import random
import sqlite3

TENANTS = 6


class Tenants:
    """What each database holds, kept outside: {name: (mode, texts)}."""

    def __init__(self, data, seed):
        self.data, self.rng, self.here, self.count = data, random.Random(seed), {}, 0

    def path(self, name):
        return os.path.join(self.data, "tenants", name)

    def write(self, path, texts, journal):
        database = sqlite3.connect(path, isolation_level=None, timeout=10)
        database.execute("PRAGMA journal_mode=" + journal)
        database.execute("CREATE TABLE IF NOT EXISTS note(text)")
        for text in texts:
            database.execute("INSERT INTO note VALUES(?)", (text,))
        database.close()

    def texts(self):
        self.count += 1
        return ["%d of %d: %s" % (at, self.count, self.rng.randbytes(200).hex()) for at in range(self.rng.randint(1, 5))]

    def delete(self, name):
        for suffix in ("-shm", "-wal", ""):
            if os.path.exists(self.path(name) + suffix):
                os.unlink(self.path(name) + suffix)

    def make(self, name):
        """Under its name from the first page on, as sqlite3_open does it."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        mode, texts = self.rng.choice((0o600, 0o640, 0o664)), self.texts()
        os.close(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, mode))
        os.chmod(self.path(name), mode)
        self.write(self.path(name), texts, self.rng.choice(("wal", "delete")))
        self.here[name] = (mode, texts)

    def replace(self, name, scratch):
        """Complete when it takes the name, as VACUUM INTO and rename do it."""
        beside, texts = os.path.join(scratch, "beside"), self.texts()
        self.write(beside, texts, "delete")
        os.chmod(beside, 0o644)
        self.delete(name)
        os.rename(beside, self.path(name))
        self.here[name] = (0o644, texts)

    def change(self, scratch):
        name = "%d.db" % self.rng.randrange(TENANTS)
        if name not in self.here:
            self.make(name)
        elif self.rng.random() < 0.3:
            self.delete(name)
            del self.here[name]
        else:
            self.replace(name, scratch)

    def check(self, data):
        """A copy, which nobody else has open."""
        folder = os.path.join(data, "tenants")
        found = {name for name in os.listdir(folder) if name.endswith(".db")} if os.path.isdir(folder) else set()
        assert found == set(self.here), "%s instead of %s" % (sorted(found), sorted(self.here))
        for name, (mode, texts) in self.here.items():
            path = os.path.join(folder, name)
            assert os.stat(path).st_mode & 0o7777 == mode, "%s has mode %o" % (name, os.stat(path).st_mode)
            database = sqlite3.connect(path)
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            assert [row[0] for row in database.execute("SELECT text FROM note ORDER BY rowid")] == texts, name
            database.close()
