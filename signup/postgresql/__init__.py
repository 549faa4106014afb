"""Django's PostgreSQL backend, with limits on how long a statement, a lock, and an unanswered connection may take."""
