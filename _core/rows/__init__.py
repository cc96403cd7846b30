"""The loop that reads the members of a row, the sinks it reads them into, and the base class of all scans."""
