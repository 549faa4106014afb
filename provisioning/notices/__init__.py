"""Notices: staff hear of what needs them, without looking.

- `incidents` notices what is wrong, such as sending that stopped, and when it is over. One incident is one row, however
  many accounts it concerns.
- `rules` says who hears of which incidents: a person by email, or a channel in Slack or Teams, at once or once a day.
  Each incident is told once when it begins, and once when it ends.
- `sending` sends due notices, on a thread of the worker.
"""
