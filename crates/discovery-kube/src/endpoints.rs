//! The `EndpointSlices` of one service, and the endpoints in them that are ready.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// All that are known. What changes them answers whether they are whole now.
#[derive(Default)]
pub(crate) struct Slices {
    by_name: BTreeMap<String, EndpointSlice>,
    /// Of a list that has begun and takes their place when it ends.
    listed: BTreeMap<String, EndpointSlice>,
}

impl Slices {
    pub(crate) fn begin(&mut self) -> bool {
        self.listed.clear();
        false
    }

    pub(crate) fn list(&mut self, slice: EndpointSlice) -> bool {
        self.listed.insert(name(&slice), slice);
        false
    }

    pub(crate) fn end(&mut self) -> bool {
        self.by_name = std::mem::take(&mut self.listed);
        true
    }

    pub(crate) fn put(&mut self, slice: EndpointSlice) -> bool {
        self.by_name.insert(name(&slice), slice);
        true
    }

    pub(crate) fn remove(&mut self, slice: &EndpointSlice) -> bool {
        self.by_name.remove(&name(slice));
        true
    }

    /// The addresses of those that are ready, at this port: its name in the service, or its number in the pod. A pod
    /// with an address of either family is one, at that of IPv4.
    pub(crate) fn ready(&self, port: &str) -> Vec<String> {
        let mut by_pod = BTreeMap::new();
        for slice in self.by_name.values() {
            let Some(port) = number(slice, port) else { continue };
            for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)) {
                // All addresses of an endpoint are the same to the API; only the first is to be used.
                let Some(Ok(address)) = endpoint.addresses.first().map(|text| text.parse::<IpAddr>()) else {
                    continue;
                };
                let address = SocketAddr::new(address, port);
                let known = by_pod.entry(pod(endpoint)).or_insert(address);
                *known = address.min(*known);
            }
        }
        by_pod.values().map(ToString::to_string).collect()
    }
}

fn name(slice: &EndpointSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

fn number(slice: &EndpointSlice, port: &str) -> Option<u16> {
    if let Ok(number) = port.parse() {
        return Some(number);
    }
    let named = slice.ports.iter().flatten().find(|known| known.name.as_deref() == Some(port))?;
    u16::try_from(named.port?).ok()
}

/// Not known means ready, says the API.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// What is the same in the slices of both families.
fn pod(endpoint: &Endpoint) -> String {
    let pod = endpoint.target_ref.as_ref().and_then(|pod| pod.uid.clone().or_else(|| pod.name.clone()));
    pod.unwrap_or_else(|| endpoint.addresses.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(name: &str, family: &str, endpoints: &Value) -> EndpointSlice {
        let ports = json!([{"name": "grpc", "port": 5290}, {"name": "metrics", "port": 9090}]);
        let slice = json!({
            "addressType": family, "metadata": {"name": name}, "endpoints": endpoints, "ports": ports,
        });
        serde_json::from_value(slice).unwrap()
    }

    #[test]
    fn only_what_is_ready_counts_and_unknown_is_ready() {
        let mut slices = Slices::default();
        let endpoints = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.0.0.3"]},
            {"addresses": ["a.example"], "conditions": {"ready": true}},
        ]);

        assert!(slices.put(slice("one", "IPv4", &endpoints)));

        assert_eq!(slices.ready("grpc"), ["10.0.0.1:5290", "10.0.0.3:5290"]);
        assert_eq!(slices.ready("6000"), ["10.0.0.1:6000", "10.0.0.3:6000"]);
        assert!(slices.ready("nothing").is_empty());
    }

    #[test]
    fn a_pod_of_both_families_is_one() {
        let mut slices = Slices::default();
        let endpoint = |address: &str| json!([{"addresses": [address], "targetRef": {"uid": "pod-1"}}]);

        slices.put(slice("six", "IPv6", &endpoint("fd00::1")));
        assert_eq!(slices.ready("grpc"), ["[fd00::1]:5290"]);
        slices.put(slice("four", "IPv4", &endpoint("10.0.0.1")));
        assert_eq!(slices.ready("grpc"), ["10.0.0.1:5290"]);
    }

    #[test]
    fn a_list_takes_the_place_of_all_when_it_ends_and_not_before() {
        let mut slices = Slices::default();
        let endpoint = |address: &str| json!([{"addresses": [address]}]);
        slices.put(slice("old", "IPv4", &endpoint("10.0.0.1")));

        assert!(!slices.begin());
        assert!(!slices.list(slice("new", "IPv4", &endpoint("10.0.0.2"))));
        assert_eq!(slices.ready("grpc"), ["10.0.0.1:5290"]);
        assert!(slices.end());
        assert_eq!(slices.ready("grpc"), ["10.0.0.2:5290"]);
    }
}
