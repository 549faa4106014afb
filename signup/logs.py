"""How the log's lines are written: the formatter and the filter that `LOGGING` in the settings names."""

import logging
import time


class UtcFormatter(logging.Formatter):
    """Writes times in UTC, whatever the time zone of staff's pages."""

    converter = staticmethod(time.gmtime)


class Brief(logging.Filter):
    """Drops the tracebacks of bad requests: they aren't our bugs, and anyone could fill the log with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True
