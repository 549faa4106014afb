"""Notices: tell staff what needs their attention.

- `incidents` notices what is wrong, such as sending that stopped, and when it is over. One incident is one row, however
  many accounts it concerns.
- `rules` decides who is notified of which incidents: a person by email, or a channel in Slack or Teams, at once or once
  a day. Each incident is reported once when it begins, and once when it ends.
- `sending` sends due notices, on a thread of the worker.
"""
