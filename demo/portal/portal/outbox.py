"""Publishes jobs from the outbox to the broker."""

from __future__ import annotations

import json

import pika
from pika.adapters.blocking_connection import BlockingChannel
from sqlalchemy import Engine, delete, select

from .tables import jobs

BATCH = 100


def relay(engine: Engine, channel: BlockingChannel) -> int:
    """Publish the oldest jobs and return their number; each queue has an exchange with the same name.

    `channel` confirms. A job is deleted from the database once the broker has confirmed it. After a kill in between, it
    is published again. Jobs that another worker has locked are skipped.
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
