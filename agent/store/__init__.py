from agent.store.inbox import InboxRow as InboxRow
from agent.store.orders import OrderRow as OrderRow
from agent.store.orders import OrderStatus as OrderStatus
from agent.store.outbox import OutboxCounts as OutboxCounts
from agent.store.outbox import Priority as Priority
from agent.store.outbox import Report as Report
from agent.store.store import Store as Store
