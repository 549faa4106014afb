"""Events: what became of sign-ups and of the gateway, told to the partner's own systems.

- `outbox` writes an *event* in the transaction of the move that it tells of: no move without its event, and no event
  without its move.
- `deliveries` routes each event to the *endpoints* that want it, one *delivery* each. The table is the queue: due
  deliveries are claimed with a lease, every call is recorded before it is made, and failed ones are retried for three
  days.
- `deliverer` makes these calls, on threads of the worker's process. One endpoint's calls never wait for another's.
- `addresses` and `calls` keep every call out of the partner's own network.

Deliveries follow the Standard Webhooks specification (https://www.standardwebhooks.com). They come at least once and in
no particular order. An event's ID is the same each time, so receivers can tell a repetition.
"""
