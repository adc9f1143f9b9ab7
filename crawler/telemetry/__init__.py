"""A run in the eyes of monitoring: metrics for Prometheus, metrics and traces over OTLP, by OpenTelemetry's names."""
