"""The harness behind benchmarks/run: who measures what is in throughput, latency, ends and micro; the rest serves them."""
