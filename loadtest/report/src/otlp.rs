//! What is measured, pushed to an OpenTelemetry collector over gRPC.

use std::collections::BTreeMap;
use std::time::Duration;

use figures::{Record, Second};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, MeterProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

use crate::Observer;
use crate::stretch;

/// How often it is pushed.
const EVERY: Duration = Duration::from_secs(5);
/// How long the last push may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Upper ends of buckets, in seconds.
const BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Pushes to a collector until the run is over.
#[derive(Debug)]
pub struct Otlp {
    provider: SdkMeterProvider,
    events: Counter<u64>,
    failures: Counter<u64>,
    latency: Histogram<f64>,
    sessions: Gauge<u64>,
    cpu_seconds: Counter<f64>,
    memory_bytes: Gauge<u64>,
    lag_seconds: Gauge<f64>,
    /// By process: as it was counted last, in microseconds.
    cpu_us: BTreeMap<String, u64>,
}

impl Otlp {
    /// Of a collector's gRPC endpoint, `http://127.0.0.1:4317`. To be called within a runtime of several threads. A collector
    /// that is not there, or goes away, is tried again with each push.
    pub fn push(endpoint: &str, scenario: &str, target: &str) -> Result<Self, ExporterBuildError> {
        let exporter =
            MetricExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(PATIENCE).build()?;
        let reader = PeriodicReader::builder(exporter).with_interval(EVERY).build();
        let about = [("throng_load.scenario", scenario), ("throng_load.target", target)];
        let resource = Resource::builder()
            .with_service_name("throng-load")
            .with_attributes(about.map(|(key, value)| KeyValue::new(key, value.to_owned())))
            .build();
        let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        let meter = provider.meter("throng-load");
        let latency =
            meter.f64_histogram("throng_load.latency").with_unit("s").with_boundaries(BUCKETS.into());
        Ok(Self {
            events: meter.u64_counter("throng_load.events").build(),
            failures: meter.u64_counter("throng_load.failures").build(),
            latency: latency.with_description("from when it was intended to when it was done").build(),
            sessions: meter.u64_gauge("throng_load.sessions").build(),
            cpu_seconds: meter.f64_counter("throng_load.process.cpu").with_unit("s").build(),
            memory_bytes: meter.u64_gauge("throng_load.process.memory").with_unit("By").build(),
            lag_seconds: meter.f64_gauge("throng_load.lag").with_unit("s").build(),
            provider,
            cpu_us: BTreeMap::new(),
        })
    }

    fn process(&mut self, role: &'static str, name: &str, cpu_us: u64, memory_bytes: u64) {
        let about = [KeyValue::new("name", name.to_owned()), KeyValue::new("role", role)];
        let before = self.cpu_us.insert(format!("{role} {name}"), cpu_us).unwrap_or(cpu_us);
        self.cpu_seconds.add(cpu_us.saturating_sub(before) as f64 / 1e6, &about);
        self.memory_bytes.record(memory_bytes, &about);
    }
}

impl Observer for Otlp {
    fn second(&mut self, second: &Second) {
        self.sessions.record(second.sessions, &[]);
        for (name, &n) in &second.counts {
            match stretch::failure(name) {
                Some((measure, condition)) => {
                    let about = [("measure", measure), ("condition", condition)];
                    self.failures.add(n, &about.map(|(key, value)| KeyValue::new(key, value.to_owned())));
                }
                None => self.events.add(n, &[KeyValue::new("name", name.clone())]),
            }
        }
        for (measure, spread) in &second.latencies {
            let about = [KeyValue::new("measure", measure.clone())];
            let Ok(histogram) = spread.unpack() else { continue };
            for value in histogram.iter_recorded() {
                let seconds = value.value_iterated_to() as f64 / 1e6;
                (0..value.count_at_value()).for_each(|_| self.latency.record(seconds, &about));
            }
        }
        for (name, sample) in &second.server {
            self.process("server", name, sample.cpu_us, sample.memory_bytes);
        }
        for (name, own) in &second.generators {
            self.process("generator", name, own.cpu_us, own.memory_bytes);
            self.lag_seconds.record(own.lag_max_us as f64 / 1e6, &[KeyValue::new("name", name.clone())]);
        }
    }

    fn end(&mut self, _record: &Record) {
        // The collector's absence is no reason for the run to fail; the exporter has reported it.
        let _ = self.provider.shutdown_with_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
        MetricsService, MetricsServiceServer,
    };
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    };
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::sample;

    struct Collector(mpsc::UnboundedSender<ExportMetricsServiceRequest>);

    #[tonic::async_trait]
    impl MetricsService for Collector {
        async fn export(
            &self,
            request: Request<ExportMetricsServiceRequest>,
        ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
            self.0.send(request.into_inner()).map_err(|_| Status::cancelled("the test is over"))?;
            Ok(Response::new(ExportMetricsServiceResponse::default()))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_gets_counts_and_latencies() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (taken, mut pushed) = mpsc::unbounded_channel();
        let server =
            tonic::transport::Server::builder().add_service(MetricsServiceServer::new(Collector(taken)));
        let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

        let record = sample::record();
        let mut otlp = Otlp::push(&endpoint, &record.scenario, &record.target).unwrap();
        record.seconds[..40].iter().for_each(|second| otlp.second(second));
        tokio::task::spawn_blocking(move || otlp.end(&record)).await.unwrap();

        let request = pushed.recv().await.unwrap();
        server.abort();
        let resource = &request.resource_metrics[0];
        let names: Vec<&str> =
            resource.resource.as_ref().unwrap().attributes.iter().map(|about| about.key.as_str()).collect();
        assert!(names.contains(&"service.name") && names.contains(&"throng_load.scenario"), "{names:?}");
        let metrics = &resource.scope_metrics[0].metrics;
        let metric =
            |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.as_ref().unwrap();
        let Data::Histogram(latency) = metric("throng_load.latency") else { panic!("no histogram") };
        let expected: u64 = sample::record().seconds[..40]
            .iter()
            .flat_map(|it| it.latencies.values())
            .map(|it| it.count)
            .sum();
        assert_eq!(latency.data_points.iter().map(|point| point.count).sum::<u64>(), expected);
        let Data::Sum(events) = metric("throng_load.events") else { panic!("no sum") };
        assert!(events.is_monotonic && events.data_points.len() == 4);
    }
}
