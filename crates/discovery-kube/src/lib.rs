//! Who is ready behind a Kubernetes service: its `EndpointSlices`, watched. In a crate of its own because what speaks
//! to Kubernetes is heavy, and because nothing else here knows of Kubernetes.

mod endpoints;

use std::future;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};

pub use kube::Client;

use self::endpoints::Slices;

/// How long one watch lasts before it is begun again, in seconds: a connection that died in silence is seen by then.
pub const WATCH_S_MAX: u32 = 60;

/// How long a connection to the API server may take, in seconds.
pub const CONNECT_S_MAX: u64 = 5;

/// A service whose pods are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The name of one of its ports, or the number on which its pods listen.
    pub port: String,
}

/// There is no Kubernetes to be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a pod's own account nor a kubeconfig was found.
    #[error("no account for Kubernetes: {0}")]
    Account(#[from] kube::config::InferConfigError),
    /// The account cannot be used.
    #[error("the account for Kubernetes cannot be used: {0}")]
    Client(#[from] kube::Error),
}

/// The API server, as this pod's service account knows it, or `KUBECONFIG` outside of a cluster. Nothing is asked yet.
///
/// # Errors
/// When there is no account.
pub async fn client() -> Result<Client, Error> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(Duration::from_secs(CONNECT_S_MAX));
    // A watch is over by then; a list that is not would never end.
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_S_MAX) + 10));
    config.reset_reader_on_write = true;
    Ok(Client::try_from(config)?)
}

/// The addresses, `host:port`, of all ready endpoints of a service, whole whenever something about them changes. While
/// the API server cannot be reached nothing is said; when it is there again, what is true by then.
pub fn addresses(client: Client, service: Service) -> impl Stream<Item = Vec<String>> + Send + 'static {
    let api: Api<EndpointSlice> = Api::namespaced(client, &service.namespace);
    let config = watcher::Config::default()
        .labels(&format!("kubernetes.io/service-name={}", service.name))
        .timeout(WATCH_S_MAX);
    let mut slices = Slices::default();
    let mut said = false;
    watch(api, config).default_backoff().filter_map(move |event| {
        let whole = match event {
            Ok(event) => {
                said = false;
                slices.take(event)
            }
            Err(error) => {
                // Once, not at every try.
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(?service, %error, "endpoints cannot be watched; the last ones hold");
                }
                false
            }
        };
        future::ready(whole.then(|| slices.ready(&service.port)))
    })
}

impl Slices {
    /// Takes what the API server says; answers whether it is whole now.
    fn take(&mut self, event: Event<EndpointSlice>) -> bool {
        match event {
            Event::Init => self.begin(),
            Event::InitApply(slice) => self.list(slice),
            Event::InitDone => self.end(),
            Event::Apply(slice) => self.put(slice),
            Event::Delete(slice) => self.remove(&slice),
        }
    }
}

#[cfg(test)]
mod tests;
