"""The same transport with a fetch that does not make Tansu wait."""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka

from stream_app import laned_producer, steady_transport

FETCH_WAIT_MS_MAX = 100


class _ConsumerThread(steady_transport.ConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust writes 1,500 there, and Tansu holds back the records of all partitions of a fetch for as long as
        # one of them is empty. The consumer has not been started yet, so it still reads the field.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX
        return consumer


class _Consumer(steady_transport.Consumer):
    def _new_consumer_thread(self) -> aiokafka.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(aiokafka.Transport):
    """What `tansu://` addresses are served by; see `stream_app.local_services.faust_settings`."""

    Consumer = _Consumer
    Producer = laned_producer.Producer
