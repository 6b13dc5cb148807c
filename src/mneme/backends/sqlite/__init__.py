"""The vault on one SQLite file, through apsw."""
