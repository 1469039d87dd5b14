"""Metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from .settings import Settings


class Metrics:
    """One process's metrics, in their own registry."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "portal_requests", "Responses sent", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "portal_request_seconds", "Response time in seconds", ["route"], registry=self.registry
        )
        self.orders = Counter("portal_orders", "Orders written", registry=self.registry)
        self.checkouts = Counter(
            "portal_checkouts", "Orders completed: paid, or written if payments are off", registry=self.registry
        )
        self.payments = Counter(
            "portal_payments", "Attempts to pay an order, by outcome", ["outcome"], registry=self.registry
        )
        Gauge(
            "portal_build_info",
            "Always 1; the labels describe the running build",
            ["version", "release", "slot", "environment"],
            registry=self.registry,
        ).labels(settings.version, settings.release, settings.slot, settings.environment).set(1)
