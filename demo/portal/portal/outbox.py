"""From the outbox to the broker: jobs that were written with what they are about."""

from __future__ import annotations

import json

import pika
from pika.adapters.blocking_connection import BlockingChannel
from sqlalchemy import Engine, delete, select

from .tables import jobs

BATCH = 100


def relay(engine: Engine, channel: BlockingChannel) -> int:
    """Give the oldest jobs to the broker and return how many; each queue has an exchange of its name.

    `channel` confirms. A job leaves the database when the broker has it: killed in between, it is given once more. Jobs
    that another worker has in its hands are left to that one.
    """
    oldest = select(jobs).order_by(jobs.c.created_at).limit(BATCH).with_for_update(skip_locked=True)
    with engine.begin() as connection:
        found = connection.execute(oldest).all()
        for job in found:
            properties = pika.BasicProperties(
                content_type="application/json", delivery_mode=2, message_id=str(job.id), type=job.queue
            )
            channel.basic_publish(job.queue, "", json.dumps(job.body).encode(), properties, mandatory=True)
        if found:
            connection.execute(delete(jobs).where(jobs.c.id.in_([job.id for job in found])))
    return len(found)
